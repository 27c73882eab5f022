"""Calls to the Linux kernel that Python's `os` has no name for. Nothing here decides anything.

Each function raises `OSError` with the call's name where the kernel refuses.
"""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522
CLOSE_RANGE = 436  # the same number on every architecture, as with every call since Linux 5.3

_libc: ctypes.CDLL | None = None


def libc() -> ctypes.CDLL:
    """The C library that this process runs on. Loaded at first use, so that other systems can import this file."""
    global _libc
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
        _libc.syscall.restype = ctypes.c_long
    return _libc


def check(result: int, name: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def syscall(name: str, number: int, *args: object) -> int:
    """Call a system call by number; integers are passed as longs."""
    passed = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return check(int(libc().syscall(ctypes.c_long(number), *passed)), name)


def prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    check(libc().prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero), f"prctl({option})")


def unshare(flags: int) -> None:
    check(libc().unshare(ctypes.c_int(flags)), "unshare")


def mount_tmpfs(target: str, flags: int, options: str) -> None:
    result = libc().mount(b"tmpfs", target.encode(), b"tmpfs", ctypes.c_ulong(flags), options.encode())
    check(result, f"mounting a tmpfs on {target}")


def make_mounts_private() -> None:
    ms_rec_private = 0x4000 | 0x40000
    check(libc().mount(None, b"/", None, ctypes.c_ulong(ms_rec_private), None), "making mounts private")


def set_host_name(name: bytes) -> None:
    check(libc().sethostname(name, ctypes.c_size_t(len(name))), "sethostname")


def drop_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets of this process."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    check(libc().capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())), "capset")


def close_from(first: int) -> None:
    """Close every file descriptor from `first` on."""
    syscall("close_range", CLOSE_RANGE, first, 0xFFFFFFFF, 0)
