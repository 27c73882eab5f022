# asks whether it may signal its parent | 57 | seccomp: signals go to itself alone; landlock: none leaves it | landlock+seccomp@full | 100
import os


def attack():
    os.kill(os.getppid(), 0)
    return "may"
