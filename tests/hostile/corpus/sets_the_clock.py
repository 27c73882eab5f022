# sets the clock | 50 | seccomp | not switched off: needs a capability too | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.clock_settime(0, ctypes.byref((ctypes.c_long * 2)(0, 0))) < 0:
        raise OSError(ctypes.get_errno(), "clock_settime")
    return "done"
