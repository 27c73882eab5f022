# runs machine code that it wrote into memory | 56 | harmless: compilers need it, and code is code | always harmless: only its own process | 100
import ctypes
import mmap
import platform


def attack():
    if platform.machine() != "x86_64":
        return None
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x2a\x00\x00\x00\xc3")  # mov eax, 42; ret
    assert ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() == 42
    return None
