"""Which files a worker may open: Landlock rules, which hold for any user, in any container, without namespaces.

A rule names a file or a whole directory tree and what may be done there; whatever no rule names cannot be opened, read,
listed, written, made or removed. What Landlock does not govern is metadata: `stat` still tells that a file exists.
Where the kernel's version has them, no TCP port may be bound or reached (version 4), no device ioctl made (5), and no
signal or abstract socket may leave the worker (6).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from autograder.sandbox import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FIRST = (1 << 13) - 1  # what version 1 governs
OF_FILES = READ_FILE | WRITE_FILE | TRUNCATE

READ = READ_FILE | READ_DIR
# Links, sockets, pipes and devices are left out: nobody outside should ever stumble over one that a worker made.
SCRATCH = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER

BIND_TCP_AND_CONNECT_TCP = 3
SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def version() -> int:
    """Landlock's version on this kernel, 0 where there is none or it is off."""
    try:
        return kernel.syscall("landlock_create_ruleset", CREATE_RULESET, None, 0, 1)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def governed(by_version: int) -> int:
    """The rights on files that a kernel with this version of Landlock can refuse."""
    return FIRST | (REFER * (by_version >= 2)) | (TRUNCATE * (by_version >= 3)) | (IOCTL_DEV * (by_version >= 5))


def restrict(rules: Iterable[tuple[str, int]]) -> None:
    """Confine this thread to `rules` (path, rights), for good. A path that is not there is left out; raises OSError."""
    on = version()
    if not on:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    network = BIND_TCP_AND_CONNECT_TCP if on >= 4 else 0
    scope = SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if on >= 6 else 0
    attributes = struct.pack("=QQQ", governed(on), network, scope)[: 8 if on < 4 else 16 if on < 6 else 24]
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = kernel.syscall("landlock_create_ruleset", CREATE_RULESET, buffer, len(attributes), 0)
    for path, rights in rules:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            continue
        # A directory's rights are an error on a file, so a rule for a file keeps what makes sense there.
        within = rights & governed(on) if os.path.isdir(path) else rights & governed(on) & OF_FILES
        rule = struct.pack("=Qi", within, place)  # the kernel's struct is packed too
        kernel.syscall(
            "landlock_add_rule", ADD_RULE, ruleset, PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0
        )
        os.close(place)
    kernel.syscall("landlock_restrict_self", RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
