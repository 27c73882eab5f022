# writes a segment descriptor (modify_ldt) | 52 | seccomp | seccomp@full | 100
import ctypes
import platform


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if platform.machine() != "x86_64":
        raise OSError(1, "only x86-64 has modify_ldt")
    if libc.syscall(154, 0, ctypes.create_string_buffer(64), 64) < 0:
        raise OSError(ctypes.get_errno(), "modify_ldt")
    return "done"
