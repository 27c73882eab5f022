# reads its own memory map to find what lies where | 2 | landlock: no rule names it | landlock@landlock | 100
import os


def attack():
    return os.read(os.open("/proc/self/maps", os.O_RDONLY | os.O_CLOEXEC), 100)
