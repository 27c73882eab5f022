# climbs out of its folder with `..` | 1 | landlock: no rule names it | landlock@landlock | 100
def attack():
    with open("../" * 30 + "etc/passwd") as file:
        return file.read()
