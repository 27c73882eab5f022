# has signals sent by a descriptor's owner (F_SETOWN) | 57 | seccomp: not among the fcntls | seccomp@full | 100
import fcntl
import os


def attack():
    fcntl.fcntl(3, fcntl.F_SETOWN, os.getpid())
    return "owned"
