# attaches an attribute to a file | 55 | seccomp | seccomp@landlock | 100
import os


def attack():
    with open("named", "w") as file:
        file.write("x")
    os.setxattr("named", "user.x", b"y")
    return "attached"
