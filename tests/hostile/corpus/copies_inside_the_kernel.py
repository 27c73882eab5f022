# copies a file inside the kernel | 52 | seccomp | seccomp@full | 100
import os


def attack():
    with open("from", "w+") as one, open("to", "w") as other:
        one.write("x")
        one.flush()
        return os.copy_file_range(one.fileno(), other.fileno(), 1, 0)
