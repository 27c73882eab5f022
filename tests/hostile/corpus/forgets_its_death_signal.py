# asks to outlive its parent | 46 | seccomp: not among the prctls | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(1, 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG")
    return "done"
