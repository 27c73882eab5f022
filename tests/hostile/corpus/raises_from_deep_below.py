# raises at the bottom of 900 calls, for a long traceback | 33 | judge: a trace has at most twelve lines | always harmless: it is cut | 0 failed
def forge(name, real):
    def down(*args, depth=900, **kwargs):
        if not depth:
            raise RuntimeError("the bottom")
        return down(depth=depth - 1)

    return down
