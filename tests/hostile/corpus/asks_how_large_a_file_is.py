# asks for the size and age of a file that it cannot read | 9 | the wall: it is not there | the wall | 100; landlock 80 failed
import os


def attack():
    return os.stat("@CANARY@").st_size
