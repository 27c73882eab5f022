"""A worker's own view of the machine: namespaces, an empty /proc, a small private /tmp, and no privilege in any of it.

`enter` is for a process that is about to fork process 1 of the new view; `drop` is for one that was started as root.
"""

from __future__ import annotations

import os

from autograder.sandbox import kernel

NEW_MOUNTS, NEW_CGROUP, NEW_NAMES, NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
EVERY = NEW_MOUNTS | NEW_CGROUP | NEW_NAMES | NEW_IPC | NEW_USERS | NEW_PROCESSES | NEW_NETWORK

READ_ONLY, NO_SETUID, NO_DEVICES, NO_EXECUTE = 1, 2, 4, 8
UID_INSIDE = 1000
TMP_OPTIONS = "size=64m,nr_inodes=4096,mode=0700"


def drop(uid: int, gid: int) -> None:
    """Become `uid` for good. Raises OSError where this process may not."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getgroups():
        raise PermissionError("the user id did not change")


def enter() -> None:
    """Leave every namespace of the parent; children are in a new process namespace. Raises OSError.

    The empty file system over /proc is there because a fresh procfs cannot be mounted inside a nested sandbox, and
    because nothing that a submission needs is in it.
    """
    uid, gid = os.getuid(), os.getgid()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # a process that is not dumpable cannot write its own id maps
    kernel.unshare(EVERY)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{UID_INSIDE} {uid} 1"),
        ("gid_map", f"{UID_INSIDE} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.make_mounts_private()
    kernel.mount_tmpfs("/tmp", NO_SETUID | NO_DEVICES | NO_EXECUTE, TMP_OPTIONS)
    kernel.mount_tmpfs("/proc", READ_ONLY | NO_SETUID | NO_DEVICES | NO_EXECUTE, "size=4k,nr_inodes=1,mode=0555")
    kernel.set_host_name(b"sandbox")
    kernel.drop_capabilities()
