# changes its root folder | 51 | seccomp | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) or libc.chroot(b".") < 0:
        raise OSError(ctypes.get_errno(), "chroot")
    return "done"
