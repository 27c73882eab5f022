# names the machine | 51 | seccomp | not switched off: needs a capability too | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sethostname(b"mine", 4) < 0:
        raise OSError(ctypes.get_errno(), "sethostname")
    return "done"
