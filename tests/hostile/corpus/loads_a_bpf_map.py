# asks for a BPF map | 52 | seccomp | not switched off: this kernel gives it to root alone | 100
import ctypes
import platform


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if (
        libc.syscall(
            {"x86_64": 321, "aarch64": 280}[platform.machine()], 0, ctypes.byref((ctypes.c_uint32 * 18)(2, 4, 8, 1)), 72
        )
        < 0
    ):
        raise OSError(ctypes.get_errno(), "bpf")
    return "done"
