# tries every file descriptor that it may have inherited | 6 | descriptors: all but four are closed before it starts | not switched off: the self-test counts them | 100
import os


def attack():
    found = []
    for number in range(4, 1024):
        try:
            os.fstat(number)
            found.append(number)
        except OSError:
            pass
    return found
