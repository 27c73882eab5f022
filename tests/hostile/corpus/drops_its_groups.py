# changes its groups | 60 | seccomp | not switched off: the kernel refuses too | 100
import os


def attack():
    os.setgroups([0])
    return os.getgroups()
