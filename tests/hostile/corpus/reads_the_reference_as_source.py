# asks for the reference's source lines | 1 | landlock: no rule names it | landlock@landlock | 100
import linecache


def attack():
    return linecache.getline("@COURSE@/solutions/toy/toy.py", 1)
