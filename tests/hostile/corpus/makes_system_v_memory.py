# keeps memory in a System V segment that outlives it | 41 | seccomp | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(0, 4096, 0o1600)
    if segment < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    libc.shmctl(segment, 0, None)
    return "a segment"
