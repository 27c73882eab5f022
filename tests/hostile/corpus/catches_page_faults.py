# makes a userfaultfd, with which kernel races are won | 11 | seccomp | seccomp@full | 100
import ctypes
import platform


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 323, "aarch64": 282}[platform.machine()]
    if libc.syscall(number, 1) < 0:
        raise OSError(ctypes.get_errno(), "userfaultfd")
    return "a userfaultfd"
