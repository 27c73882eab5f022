# makes a program of its own that runs with its rights | 55 | seccomp: no modes are changed | seccomp@full | 100
import os


def attack():
    with open("program", "w") as file:
        file.write("x")
    os.chmod("program", 0o6777)
    return oct(os.stat("program").st_mode)
