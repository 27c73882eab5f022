# takes a processor for itself | 49 | seccomp | seccomp@full | 100
import os


def attack():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return "pinned"
