# makes a timer of the kernel | 52 | seccomp | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.timerfd_create(1, 0) < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    return "a timer"
