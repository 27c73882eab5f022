# loads machine code from a file that it wrote | 56 | namespaces: nothing in its /tmp is executable | namespaces@full; the wall | 100; landlock 80 failed
import ctypes
import os

import msgspec


def attack():
    with open(msgspec._core.__file__, "rb") as file, open("own.so", "wb") as copy:
        copy.write(file.read())
    return ctypes.CDLL(os.path.abspath("own.so"))._name
