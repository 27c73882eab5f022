"""Removing what a submission left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autograder.sandbox import scratch


def test_a_tree_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").touch()
    (top / ".removed-0").mkdir()
    scratch.remove(str(top))
    assert not top.exists()
    scratch.remove(str(top))


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(kept)
    scratch.remove(str(top))
    assert not top.exists()
    assert (kept / "file").exists()


def test_a_tree_too_deep_for_recursion_and_for_paths_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("directory-with-a-name", dir_fd=here)
        below = os.open("directory-with-a-name", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    scratch.remove(str(top))
    assert not top.exists()


def test_directories_that_were_closed_are_removed(tmp_path: Path) -> None:
    (tmp_path / "top" / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "top" / "closed" / "inner").chmod(0)
    (tmp_path / "top" / "closed").chmod(0)
    scratch.remove(str(tmp_path / "top"))
    assert not (tmp_path / "top").exists()


def test_what_a_tmp_of_ones_own_would_hold_is_not_too_much(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(1 << 20))
    assert not scratch.exceeds(str(tmp_path))


def test_too_many_bytes_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("one", "other"):
        (tmp_path / "a" / name).write_bytes(b"x" * (scratch.MOST_BYTES // 2 + 4096))
    assert scratch.exceeds(str(tmp_path))


def test_a_file_with_holes_counts_for_what_it_takes(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(10 * scratch.MOST_BYTES)
    assert not scratch.exceeds(str(tmp_path))


def test_too_many_files_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_FILES", 10)
    for number in range(11):
        (tmp_path / str(number)).touch()
    assert scratch.exceeds(str(tmp_path))
