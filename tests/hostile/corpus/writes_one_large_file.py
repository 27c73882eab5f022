# writes a larger file than it may | 43 | rlimits: RLIMIT_FSIZE | rlimits+namespaces@full | 100
def attack():
    with open("large", "wb") as file:
        return file.write(bytes(65 << 20))
