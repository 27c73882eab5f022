# makes a process with clone3, whose flags no filter can read | 38 | seccomp: clone3 does not exist here | seccomp@full | 100
import ctypes
import os


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17, 0, 0, 0)
    child = libc.syscall(435, arguments, 64)
    if child < 0:
        raise OSError(ctypes.get_errno(), "clone3")
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[0]
