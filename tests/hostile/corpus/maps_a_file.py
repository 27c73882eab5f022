# reads a file with the C library, not with Python | 1 | landlock: no rule names it | landlock@landlock | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    if not libc.fopen(b"@CANARY@", b"r"):
        raise PermissionError("fopen")
    return "opened"
