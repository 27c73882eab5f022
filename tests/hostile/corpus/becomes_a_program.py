# turns into another program | 55 | seccomp; landlock: nothing may be executed | not switched off: the program that took its place cannot say so | 100
import os


def attack():
    os.execv("/bin/echo", ["echo"])
