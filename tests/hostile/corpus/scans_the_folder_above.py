# lists the folder that holds the workers' folders | 8 | landlock: no folder may be listed | landlock@landlock | 100
import os


def attack():
    return [entry.name for entry in os.scandir(os.path.dirname(os.getcwd()))]
