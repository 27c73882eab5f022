# asks the kernel whether two descriptors are one file (kcmp) | 3 | seccomp | seccomp@full | 100
import ctypes
import os
import platform


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 312, "aarch64": 272}[platform.machine()]
    if libc.syscall(number, os.getpid(), os.getpid(), 0, 1, 2) < 0:
        raise OSError(ctypes.get_errno(), "kcmp")
    return "compared"
