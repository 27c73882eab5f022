# answers the same question differently each time | 28 | judge: a failure is a failure, whatever comes later | always harmless: only values | 0 failed
import itertools

ANSWERS = itertools.cycle([[], [("a", 1)], None])


def forge(name, real):
    return lambda *args, **kwargs: next(ANSWERS)
