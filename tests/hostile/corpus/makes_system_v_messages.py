# keeps memory in a System V message queue that outlives it | 41 | seccomp | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    waiting = libc.msgget(0, 0o1600)
    if waiting < 0:
        raise OSError(ctypes.get_errno(), "msgget")
    libc.msgctl(waiting, 0, None)
    return "a queue"
