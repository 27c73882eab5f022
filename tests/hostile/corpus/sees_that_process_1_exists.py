# asks whether a process exists by its folder | 2 | namespaces: /proc is empty | namespaces@full; the wall | 100; landlock 80 failed
import os


def attack():
    return os.stat("/proc/1").st_mode
