# runs as root without having to become it | 60 | user id: dropped before anything is imported | not switched off: the user id never is | 100
import os


def attack():
    return 0 in (*os.getresuid(), *os.getresgid())
