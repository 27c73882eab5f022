# takes memory that RLIMIT_DATA does not count | 41 | rlimits: RLIMIT_AS | rlimits@full | 100
import mmap


def attack():
    return len(mmap.mmap(-1, 900 << 20))
