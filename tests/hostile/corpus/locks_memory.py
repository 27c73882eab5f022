# locks memory, so that it cannot be swapped out | 42 | seccomp; rlimits: RLIMIT_MEMLOCK | seccomp+rlimits@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    block = ctypes.create_string_buffer(4 << 20)
    if libc.mlock(block, 4 << 20) < 0:
        raise OSError(ctypes.get_errno(), "mlock")
    return "locked"
