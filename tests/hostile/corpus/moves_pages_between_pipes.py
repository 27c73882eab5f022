# moves pages between pipes without copying (vmsplice) | 52 | seccomp | seccomp@full | 100
import ctypes
import os


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    reading, writing = os.pipe()
    page = ctypes.create_string_buffer(64)
    if libc.vmsplice(writing, (ctypes.c_void_p * 2)(ctypes.addressof(page), 64), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "vmsplice")
    return "moved"
