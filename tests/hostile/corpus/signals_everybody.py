# asks whether it may signal everybody | 57 | seccomp: signals go to itself alone | seccomp+landlock@landlock; seccomp+namespaces@full | 100
import os


def attack():
    os.kill(-1, 0)
    return "may"
