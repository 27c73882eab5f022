# reads the name of the grader's machine | 2 | namespaces: its machine is called sandbox | namespaces@full; the wall | 100; landlock 80 failed
import os


def attack():
    return os.uname().nodename != "sandbox" and os.uname().nodename
