# keeps memory in a file without a name (memfd) | 41 | seccomp | seccomp@full | 100
import os


def attack():
    file = os.memfd_create("hoard")
    return os.write(file, bytes(1 << 20))
