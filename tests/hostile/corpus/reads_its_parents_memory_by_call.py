# reads another process's memory with process_vm_readv | 3 | seccomp | seccomp@full | 100
import ctypes
import os


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    source = ctypes.create_string_buffer(b"x" * 8)
    target = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(target), 8)
    remote = (ctypes.c_void_p * 2)(ctypes.addressof(source), 8)
    if libc.process_vm_readv(os.getpid(), local, 1, remote, 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")
    return target.raw
