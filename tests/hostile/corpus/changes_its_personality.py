# asks for addresses that are not random | 52 | seccomp | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.personality(0x0040000) < 0:
        raise OSError(ctypes.get_errno(), "personality")
    return "done"
