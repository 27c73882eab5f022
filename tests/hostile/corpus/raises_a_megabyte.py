# raises an exception with a text of a megabyte | 33 | judge: messages have a length | always harmless: it is cut | 0 failed
def forge(name, real):
    def fail(*args, **kwargs):
        raise RuntimeError("\x1b[2J::error::" + "x" * 1_000_000)

    return fail
