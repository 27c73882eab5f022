# calls the kernel through its 32-bit door | 53 | seccomp: another ABI ends the process | seccomp@full | 80 crashed
import ctypes
import mmap
import os
import platform


def attack():
    if platform.machine() != "x86_64":
        os.kill(os.getpid(), 31)
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, getpid; int 0x80; ret
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() > 0
