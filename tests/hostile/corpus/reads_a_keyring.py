# asks for the user's keyring | 10 | seccomp | seccomp@full | 100
import ctypes
import platform


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 250, "aarch64": 219}[platform.machine()]
    if libc.syscall(number, 0, -4, 1) < 0:
        raise OSError(ctypes.get_errno(), "keyctl")
    return "a keyring"
