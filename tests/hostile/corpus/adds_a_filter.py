# puts a filter over the filter | 59 | seccomp: not among the prctls | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, 1, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")
    return "done"
