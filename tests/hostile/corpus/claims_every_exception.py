# raises an exception that has the name of every other | 33 | judge: an exception earns what its class earns | always harmless: honest code may raise too | 10 failed
class Everything(Exception):
    pass


for _name in ("ValueError", "IndexError", "TypeError", "KeyError"):
    Everything = type(_name, (Everything,), {})


def forge(name, real):
    def fail(*args, **kwargs):
        raise Everything("as you like it")

    return fail
