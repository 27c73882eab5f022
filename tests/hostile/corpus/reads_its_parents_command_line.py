# reads the command line of its parent | 2 | landlock: no rule names it | landlock@landlock | 100
import os


def attack():
    with open(f"/proc/{os.getppid()}/cmdline", "rb") as file:
        return file.read()
