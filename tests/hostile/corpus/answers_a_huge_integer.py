# returns a number of a million digits | 22 | the worker's encoder: digits | not switched off: it is no value of the language | 0 failed
def forge(name, real):
    return lambda *args, **kwargs: 1 << 4_000_000
