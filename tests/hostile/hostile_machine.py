"""What is around a hostile run: canaries that it must not read, and what it may have left behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from toyclass import COURSE

SHARED = ("/tmp", "/var/tmp", "/dev/shm")
WORKER_UIDS = range(1_990_000_000, 1_990_100_000)  # what a sandbox takes where the grader is root


def refuse(reason: str) -> NoReturn:
    """Skip, or fail where a test that did not run is a test that did not pass."""
    if os.environ.get("AUTOGRADER_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def canary(course: Path = COURSE, out: Path = Path("/nonexistent")) -> Iterator[dict[str, str]]:
    """A file that anybody may read who can reach it, and the paths that a corpus file may name; its word is TOKEN."""
    token = f"canary-{secrets.token_hex(12)}"
    handle, name = tempfile.mkstemp(dir="/var/tmp", prefix="llm-assignments-")
    try:
        os.write(handle, token.encode())
        os.close(handle)
        os.chmod(name, 0o644)
        yield {"CANARY": name, "COURSE": str(course), "OUT": str(out), "TOKEN": token}
    finally:
        os.unlink(name)


def of_workers(paths: tuple[str, ...] = SHARED) -> list[str]:
    """Files of the sandboxes' users in folders that everybody shares. Root made all that a sandbox itself has there."""
    found = []
    for folder in paths:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid in WORKER_UIDS or entry.name.startswith("hostile-left"):
                        found.append(entry.path)
    return found


def descendants() -> set[int]:
    """Every living process below this one."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(name)] = int(parent)
    found: set[int] = set()
    new = {os.getpid()}
    while new:
        new = {number for number, parent in parents.items() if parent in new}
        found |= new
    return found
