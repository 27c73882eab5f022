# looks for hidden tests with a glob | 1 | landlock: no folder may be listed | landlock@landlock | 100
import glob


def attack():
    return glob.glob("@COURSE@/suites/**/*.py", recursive=True)
