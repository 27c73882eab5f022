# reserves address space without using it | 41 | rlimits: RLIMIT_AS | rlimits@full | 100
import ctypes


def attack():
    block = ctypes.CDLL(None, use_errno=True)
    block.mmap.restype = ctypes.c_void_p
    address = block.mmap(None, ctypes.c_size_t(64 << 30), 0, 0x4022, -1, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return "64 GiB"
