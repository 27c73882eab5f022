# returns a string of 8 MB | 22 | wire: a header has at most 4 MiB | not switched off: unit test of the wire | 0 failed
def forge(name, real):
    return lambda *args, **kwargs: "x" * (8 << 20)
