# allows any process to trace it | 59 | seccomp: not among the prctls | not switched off: needs the Yama module | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(0x59616D61, -1, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "PR_SET_PTRACER")
    return "done"
