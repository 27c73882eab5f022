# makes a process that outlives it | 38 | seccomp: clone makes threads alone | seccomp@full | 100
import os


def attack():
    child = os.fork()
    if not child:
        os._exit(0)
    return os.waitpid(child, 0)[0]
