# makes itself readable for other processes of its user | 59 | seccomp: not among the prctls | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(4, 1, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl")
    return "done"
