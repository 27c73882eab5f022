# reads a file by its path | 1 | landlock: no rule names it | landlock@landlock | 100
def attack():
    with open("@CANARY@") as file:
        return file.read()
