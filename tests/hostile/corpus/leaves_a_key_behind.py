# leaves a key in the kernel for the next submission | 10 | seccomp | seccomp@full | 100
import ctypes
import platform


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 248, "aarch64": 217}[platform.machine()]
    if libc.syscall(number, b"user", b"left", b"x", 1, -2) < 0:
        raise OSError(ctypes.get_errno(), "add_key")
    return "a key"
