# calls the kernel by an x32 number | 53 | seccomp: another ABI ends the process | not switched off: few kernels know x32 | 80 crashed
import ctypes
import os
import platform


def attack():
    if platform.machine() != "x86_64":
        os.kill(os.getpid(), 31)
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(0x40000000 + 39) > 0
