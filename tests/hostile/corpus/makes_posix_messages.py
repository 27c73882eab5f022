# keeps memory in a POSIX message queue | 41 | seccomp | landlock+rlimits+seccomp@landlock | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mq_open(b"/left", 0o102, 0o600, None) < 0:
        raise OSError(ctypes.get_errno(), "mq_open")
    libc.mq_unlink(b"/left")
    return "a queue"
