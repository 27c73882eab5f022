# enters another process's namespace | 51 | seccomp | not switched off: needs a descriptor that it cannot get; unit test of the filter | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(0, 0x10000000) < 0:
        raise OSError(ctypes.get_errno(), "setns")
    return "done"
