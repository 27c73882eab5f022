# changes when a file seems to have been written | 55 | seccomp | seccomp@full | 100
import os


def attack():
    with open("old", "w") as file:
        file.write("x")
    os.utime("old", (0, 0))
    return os.stat("old").st_mtime == 0
