# returns an object that equals everything | 17 | process split: only exact plain values cross | one process | 0 failed
class Agreeable:
    def __eq__(self, other):
        return True

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **kwargs):
        return self

    def __gt__(self, other):
        return False

    def __sub__(self, other):
        return self


def forge(name, real):
    return Agreeable()
