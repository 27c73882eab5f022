"""A directory that a submission can write to: how much is in it, and removing it, whatever was made there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
MOST_BYTES, MOST_FILES = 64 << 20, 4096
BLOCK_BYTES = 512
# Files without a name, which a submission made and unlinked, are in no directory to be counted. They matter where they
# fill the disk: then whoever lives while it fills ends, and is asked once more.
LOW_BYTES, TAKEN_BYTES = 1 << 30, 256 << 20


def remove(path: str) -> None:
    """Remove the tree at `path`, whose owner is dead. Never follows a link.

    A submission can nest directories deeper than Python recurses, than a path is long, and than there are file
    descriptors. So one directory is open at a time, and the way back up is `..`.
    """
    try:
        here = os.open(path, DIRECTORY)
    except FileNotFoundError:
        return
    names: list[str] = []  # from the top down to here
    left = [_without_files(here)]  # at each step of that way, the directories that are still to be removed
    try:
        while left:
            if left[-1]:
                name = left[-1].pop()
                os.chmod(name, 0o700, dir_fd=here)
                here = _move(here, name)
                names.append(name)
                left.append(_without_files(here))
            else:
                left.pop()
                if names:
                    here = _move(here, "..")
                    os.rmdir(names.pop(), dir_fd=here)
    finally:
        os.close(here)
    os.rmdir(path)


def _move(here: int, name: str) -> int:
    there = os.open(name, DIRECTORY, dir_fd=here)
    os.close(here)
    return there


def _without_files(directory: int) -> list[str]:
    """Remove the files in a directory; return the names of the directories in it."""
    names = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                names.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=directory)
    return names


def exceeds(path: str) -> bool:
    """Whether a living submission has more in its directory than one in a /tmp of its own could.

    It may change what is there meanwhile; the next look sees it. What is nested too deep to look at is too much, and
    so is a directory that its owner closed to everybody's eyes.
    """
    size = count = 0
    try:
        for entry in _entries(path):
            count += 1
            with contextlib.suppress(FileNotFoundError):
                size += entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
            if size > MOST_BYTES or count > MOST_FILES:
                return True
    except OSError:
        return True
    return False


def free(path: str) -> int:
    """Bytes that the disk which holds `path` has left."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def fills(path: str, before: int) -> bool:
    """Whether the disk is nearly full, and a good deal fuller than it was when it had `before` bytes left."""
    now = free(path)
    return now < LOW_BYTES and now < before - TAKEN_BYTES


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    waiting = [path]
    while waiting:
        with contextlib.suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
