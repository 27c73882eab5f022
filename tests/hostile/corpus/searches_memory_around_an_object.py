# reads the heap around a new object for a neighbour's source | 7 | the zygote never holds a student's byte | not switched off: tests/sandbox/test_memory.py reads all of it as root | 100
import ctypes


def attack():
    marker = "neighbour" + "-canary"
    block = bytearray(1 << 16)
    home = ctypes.addressof(ctypes.c_char.from_buffer(block))
    return marker.encode() in ctypes.string_at(home, 1 << 16)
