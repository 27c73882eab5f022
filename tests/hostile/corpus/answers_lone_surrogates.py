# returns characters that are none | 22 | the worker's encoder: UTF-8 | not switched off: it is no value of the language | 0 failed
def forge(name, real):
    return lambda *args, **kwargs: "\ud800"
