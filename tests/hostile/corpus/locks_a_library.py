# locks a shared library, to make others wait | 48 | harmless: nobody locks a library | always harmless: only its own time | 100
import fcntl

import torch


def attack():
    with open(torch.__file__) as file:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return None
