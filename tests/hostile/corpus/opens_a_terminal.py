# opens the controlling terminal | 54 | landlock: no rule names it | landlock@landlock | 100
import os


def attack():
    return os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
