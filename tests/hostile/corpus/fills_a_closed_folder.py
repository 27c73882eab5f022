# fills the disk in a folder that it closed to whoever looks | 43 | namespaces: its /tmp has a size; at landlock its zygote takes what it cannot see for too much | namespaces@full | 100; landlock 80 crashed
import os
import time


def attack():
    os.mkdir("closed", 0o300)
    for number in range(3):
        with open(f"closed/file{number}", "wb") as file:
            file.write(bytes(30 << 20))
    time.sleep(1)
    return "90 MiB"
