# makes namespaces of its own and mounts a file system there | 51 | seccomp; landlock: forbids mounts | seccomp+landlock@landlock | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10020000) or libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None) < 0:
        raise OSError(ctypes.get_errno(), "mount")
    return "done"
