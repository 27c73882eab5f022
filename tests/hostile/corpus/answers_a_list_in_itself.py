# returns a list that holds itself | 22 | the worker's encoder: depth | not switched off: it is no value of the language | 0 failed
def forge(name, real):
    loop = []
    loop.append(loop)
    return lambda *args, **kwargs: loop
