# takes more memory than it may | 40 | rlimits: RLIMIT_DATA | rlimits@full | 100
def attack():
    return len(bytearray(700 << 20))
