# locks a file by flock, as a covert channel | 48 | seccomp | seccomp@full | 100
import fcntl

import torch


def attack():
    with open(torch.__file__) as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return "locked"
