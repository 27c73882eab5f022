# returns the input | 29 | judge: compared with a reference of its own | always harmless: only a value | 10 failed
def forge(name, real):
    return lambda x=None, *args, **kwargs: x
