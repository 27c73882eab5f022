# opens a file relative to a descriptor of its folder | 1 | landlock: a path is judged where it leads | landlock@landlock | 100
import os


def attack():
    folder = os.open(os.path.dirname("@CANARY@"), os.O_PATH)
    file = os.open(os.path.basename("@CANARY@"), os.O_RDONLY, dir_fd=folder)
    return os.read(file, 100)
