# opens a file for its path only, then reopens that descriptor for reading | 1 | landlock: no rule names it | landlock@landlock | 100
import os


def attack():
    file = os.open("@CANARY@", os.O_PATH)
    return os.read(os.open(f"/proc/self/fd/{file}", os.O_RDONLY), 100)
