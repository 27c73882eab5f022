# opens performance events | 52 | seccomp | seccomp@full | 100
import ctypes
import platform


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if (
        libc.syscall(
            {"x86_64": 298, "aarch64": 241}[platform.machine()],
            ctypes.byref((ctypes.c_uint64 * 16)(128 << 32 | 1, 0, 0, 0, 0, 0x61)),
            0,
            -1,
            -1,
            0,
        )
        < 0
    ):
        raise OSError(ctypes.get_errno(), "perf_event_open")
    return "done"
