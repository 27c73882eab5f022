"""Temporary files: tests make a path here, student code writes to it and reads from it."""

from __future__ import annotations

import tempfile
from pathlib import Path

_folders: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def temporary(*names: str) -> list[Path]:
    """Paths of files with these names in one new, empty folder. None of the files exists yet."""
    _folders.append(tempfile.TemporaryDirectory())
    return [Path(_folders[-1].name) / name for name in names]


def text(path: Path) -> str:
    """The contents of a UTF-8 file."""
    return path.read_text(encoding="utf-8")
