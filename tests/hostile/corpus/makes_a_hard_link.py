# makes a hard link | 66 | seccomp | seccomp@full | 100
import os


def attack():
    with open("one", "w") as file:
        file.write("x")
    os.link("one", "other")
    return os.stat("other").st_nlink
