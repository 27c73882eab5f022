# makes a file handle, by which files are opened without a path | 51 | seccomp | seccomp@full | 100
import ctypes


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if (
        libc.name_to_handle_at(-100, b"/", ctypes.byref((ctypes.c_uint * 40)(128, 0)), ctypes.byref(ctypes.c_int()), 0)
        < 0
    ):
        raise OSError(ctypes.get_errno(), "name_to_handle_at")
    return "done"
