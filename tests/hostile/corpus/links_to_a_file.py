# makes a symbolic link to a file and reads that | 1 | seccomp: makes no links; landlock: follows none out | landlock+seccomp@landlock | 100
import os


def attack():
    os.symlink("@CANARY@", "mine")
    with open("mine") as file:
        return file.read()
