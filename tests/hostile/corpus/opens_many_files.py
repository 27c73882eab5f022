# opens more files than it may | 43 | rlimits: RLIMIT_NOFILE | rlimits@full | 100
import os


def attack():
    return len([os.dup(2) for _ in range(100)])
