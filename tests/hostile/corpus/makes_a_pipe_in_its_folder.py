# makes a named pipe that somebody may stumble over | 66 | seccomp; landlock: makes no pipes | seccomp+landlock@landlock | 100
import os


def attack():
    os.mkfifo("pipe")
    return "a pipe"
