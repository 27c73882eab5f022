# sends out-of-band data on its channel (CVE-2025-38236) | 26 | seccomp | seccomp@full | 100
import ctypes


def attack():
    import os

    own, other = os.dup(3), ctypes.CDLL(None, use_errno=True)
    if other.recv(own, ctypes.create_string_buffer(1), 1, 0x40 | 1 | 2) < 0 and ctypes.get_errno() == 1:
        raise PermissionError(1, "recv")
    return "asked"
