# makes a file that claims a terabyte | 43 | rlimits: RLIMIT_FSIZE | rlimits@full | 100
def attack():
    with open("sparse", "wb") as file:
        return file.truncate(1 << 40)
