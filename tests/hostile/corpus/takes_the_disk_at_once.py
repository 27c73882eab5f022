# takes room on the disk without writing it | 43 | seccomp | seccomp@full | 100
import os


def attack():
    file = os.open("claimed", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(file, 0, 1 << 20)
    return "a claim"
