# becomes root | 60 | user id: it is not root's to give; seccomp | not switched off: the user id never is | 100
import os


def attack():
    os.setuid(0)
    return os.getuid() == 0
