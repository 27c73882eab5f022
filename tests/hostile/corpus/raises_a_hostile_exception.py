# raises an exception whose text raises | 33 | the worker's formatting is guarded, and the judge's bounded | always harmless: only its own process | 0 failed
class Hostile(Exception):
    def __str__(self):
        raise self

    __repr__ = __str__


def forge(name, real):
    def fail(*args, **kwargs):
        raise Hostile

    return fail
