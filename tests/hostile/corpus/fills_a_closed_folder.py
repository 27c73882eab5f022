# fills the disk in a folder that it closed to whoever looks | 43 | namespaces: its /tmp has a size; at landlock its zygote takes what it cannot see for too much | namespaces@full | 100; landlock 80 crashed
import os
import pathlib
import time


def attack():
    os.mkdir("closed", 0o300)
    for number in range(3):
        pathlib.Path("closed", f"file{number}").write_bytes(bytes(30 << 20))
    time.sleep(1)
    return "90 MiB"
