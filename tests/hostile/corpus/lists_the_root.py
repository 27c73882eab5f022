# goes to the root and lists it | 1 | landlock: no folder may be listed | landlock@full | 100
import os


def attack():
    os.chdir("/")
    return os.listdir(".")
