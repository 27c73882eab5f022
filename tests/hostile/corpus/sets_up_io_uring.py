# sets up io_uring, whose work no filter sees | 52 | seccomp | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(425, 1, ctypes.byref((ctypes.c_uint32 * 30)())) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
    return "done"
