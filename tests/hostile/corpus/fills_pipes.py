# makes a pipe hold a megabyte | 41 | seccomp: F_SETPIPE_SZ is not among the fcntls | seccomp@full | 100
import fcntl
import os


def attack():
    reading, writing = os.pipe()
    return fcntl.fcntl(writing, 1031, 1 << 20)
