# opens a process by number (pidfd) | 57 | seccomp | seccomp@full | 100
import os


def attack():
    return os.pidfd_open(os.getpid())
