# lists the processes | 2 | landlock: no folder may be listed | landlock@landlock | 100
import os


def attack():
    return [name for name in os.listdir("/proc") if name.isdigit()]
