# reads a file with numpy | 1 | landlock: no rule names it | landlock@landlock | 100
import numpy


def attack():
    return numpy.fromfile("@CANARY@", dtype=numpy.uint8).tobytes()
