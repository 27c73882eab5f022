# counts by its own number how many submissions came before it | 30 | namespaces: it is always process 2 | namespaces@full; the wall | 100; landlock 80 failed
import os


def attack():
    return os.getpid() != 2 and os.getpid()
