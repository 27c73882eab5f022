# imports the reference by its path | 1 | landlock: no rule names it | landlock@landlock | 100
import importlib.util


def attack():
    spec = importlib.util.spec_from_file_location("stolen", "@COURSE@/solutions/toy/toy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.runs("aab")
