"""Removing what a submission left behind."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

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


def test_a_directory_that_cannot_be_looked_into_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    listed = os.scandir

    def refused(path: str) -> object:  # as for anybody but root, whom no mode keeps out
        if str(path) == str(closed):
            raise PermissionError(path)
        return listed(path)

    assert not scratch.exceeds(str(tmp_path))
    monkeypatch.setattr(os, "scandir", refused)
    assert scratch.exceeds(str(tmp_path))


def test_a_directory_that_went_away_meanwhile_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    listed = os.scandir

    def gone(path: str) -> object:
        if str(path) != str(tmp_path):
            raise FileNotFoundError(path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", gone)
    assert not scratch.exceeds(str(tmp_path))


@pytest.mark.parametrize(
    ("before", "now", "fills"),
    [(64, 2, False), (2, 0.5, True), (0.6, 0.5, False), (0.5, 0.5, False), (0.1, 0.3, False)],
    ids=["much is left", "it filled", "it was nearly full before", "nothing changed", "somebody made room"],
)
def test_a_disk_that_fills_is_noticed_where_little_is_left(
    before: float, now: float, fills: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "free", lambda path: int(now * 2**30))
    assert scratch.fills(str(tmp_path), int(before * 2**30)) is fills


def test_what_is_free_is_what_anybody_may_still_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scratch.free(str(tmp_path)) > 0
    told = SimpleNamespace(f_bavail=3, f_bfree=5, f_frsize=4096, f_bsize=1 << 20)  # two blocks are root's
    monkeypatch.setattr(os, "statvfs", lambda path: told)
    assert scratch.free(str(tmp_path)) == 3 * 4096


def test_too_many_files_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_FILES", 10)
    for number in range(11):
        (tmp_path / str(number)).touch()
    assert scratch.exceeds(str(tmp_path))
