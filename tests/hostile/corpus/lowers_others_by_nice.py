# changes its priority | 50 | seccomp | seccomp@full | 100
import os


def attack():
    return os.nice(5)
