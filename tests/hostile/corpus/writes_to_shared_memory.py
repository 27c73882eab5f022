# leaves a file in /dev/shm for the next submission | 43 | landlock: no rule names it | landlock@landlock | 100
import os


def attack():
    with open("/dev/shm/hostile-left", "w") as file:
        file.write("x")
    os.unlink("/dev/shm/hostile-left")
    return "written"
