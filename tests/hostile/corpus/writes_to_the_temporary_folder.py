# leaves a file in /var/tmp for the next submission | 43 | landlock: no rule names it | landlock@landlock | 100
import os


def attack():
    file = os.open("/var/tmp/hostile-left", os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(file, b"x")
    os.unlink("/var/tmp/hostile-left")
    return "written"
