"""Faults: whatever dies, fills up or jumps, the gradebook is that of a run that nobody disturbed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hostile_machine import refuse
from kill_moments import begin, gradebook, hand_in, survive, victims
from toyclass import SOLUTION

from autograder.records import Record
from autograder.sandbox.launch import sweep

pytestmark = pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")
CLASS = 6
JUMPS = """
import itertools, time
real, jumps = time.time, itertools.cycle((0, 10**9, -(10**9), 86400, -3600))
time.time = lambda: real() + next(jumps)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that a dropped user id may enter, with one for temporary files in it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "temporary").mkdir()
        for path in (folder, folder / "temporary"):
            path.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def undisturbed() -> list[Record]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        program = begin(hand_in(Path(name) / "handed in", CLASS), Path(name) / "out", Path(name))
        assert program.wait(timeout=600) == 0
        return gradebook(Path(name) / "out")


@contextmanager
def tiny_disk(path: Path, options: str) -> Iterator[None]:
    """A file system of its own at `path`."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(path)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        refuse("needs the right to mount a file system: run as root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def said(program: subprocess.Popen[bytes]) -> str:
    return program.communicate(timeout=600)[1].decode()


def test_a_clock_that_jumps_changes_nothing(place: Path, undisturbed: list[Record]) -> None:
    program = begin(hand_in(place / "handed in", CLASS), place / "out", place / "temporary", before=JUMPS)
    assert (program.wait(timeout=600), gradebook(place / "out")) == (0, undisturbed)


@pytest.mark.full
def test_a_disk_that_is_full_ends_the_command_and_the_next_goes_on(place: Path, undisturbed: list[Record]) -> None:
    handed_in = hand_in(place / "handed in", CLASS)
    with tiny_disk(place / "out", "size=48k,mode=755"):
        program = begin(handed_in, place / "out", place / "temporary")
        text = said(program)
        assert program.returncode == 2, text
        assert text.splitlines()[-1].startswith("autograder: cannot write ")
        assert "Traceback" not in text
        subprocess.run(["mount", "-o", "remount,size=64m", str(place / "out")], check=True)
        program = begin(handed_in, place / "out", place / "temporary")
        assert program.wait(timeout=600) == 0
        assert gradebook(place / "out") == undisturbed


@pytest.mark.full
@pytest.mark.parametrize("inodes", [0, 3])  # 0 is as many as one likes
def test_a_full_disk_for_temporary_files_is_no_bodys_grade(place: Path, undisturbed: list[Record], inodes: int) -> None:
    handed_in = hand_in(place / "handed in", CLASS)
    with tiny_disk(place / "tiny", f"size=8k,nr_inodes={inodes},mode=755"):
        (place / "tiny" / "full").write_bytes(bytes(8 << 10))
        program = begin(handed_in, place / "out", place / "tiny")
        text = said(program)
        assert (program.returncode, gradebook(place / "out")) == (0, undisturbed), text


def test_an_output_that_is_read_only_is_said_before_anything_is_graded(place: Path) -> None:
    with tiny_disk(place / "out", "size=1m,mode=755"):
        subprocess.run(["mount", "-o", "remount,ro", str(place / "out")], check=True)
        program = begin(hand_in(place / "handed in", CLASS), place / "out", place / "temporary")
        assert "choose another --out" in said(program)
        assert program.returncode == 2


@pytest.mark.full
def test_two_graders_at_once_leave_what_one_leaves(place: Path, undisturbed: list[Record]) -> None:
    handed_in = hand_in(place / "handed in", CLASS)
    both = [begin(handed_in, place / "out", place / "temporary", jobs=1) for _ in range(2)]
    assert [program.wait(timeout=600) for program in both] == [0, 0], [said(program) for program in both]
    assert gradebook(place / "out") == undisturbed
    assert (place / "out" / "index.html").is_file()


def test_a_worker_that_is_killed_from_outside_costs_its_submission_nothing(place: Path) -> None:
    handed_in = place / "handed in"
    handed_in.mkdir()
    # Each worker lives for half a second at least, so that there is one to be found.
    (handed_in / "ada.py").write_text(f"{SOLUTION}\nimport time\n\ntime.sleep(0.5)\n", encoding="utf-8")
    program = begin(handed_in, place / "out", place / "temporary", jobs=1)
    before: set[int] = set()
    killed = False
    while program.poll() is None and not killed:
        workers = set(victims(program.pid).get("worker", []))
        for worker in before & workers:  # not one of the self-test's, which are gone by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                killed = True
        before = workers
        time.sleep(0.3)
    assert (program.wait(timeout=600), killed) == (0, True)
    (record,) = gradebook(place / "out")
    assert (record.score, record.grader_error) == (100, ""), [(t.test, t.reason) for t in record.tests if not t.earned]


@pytest.mark.full
def test_kills_at_random_moments_change_no_record_and_leave_nothing(place: Path) -> None:
    inner = place / "kills"
    inner.mkdir()
    inner.chmod(0o755)
    killed, _ = survive(20, CLASS, inner)
    assert killed.total() >= 20
    for path in (inner / "temporary").iterdir():
        os.utime(path, (0, 0))
    old = tempfile.tempdir
    tempfile.tempdir = str(inner / "temporary")
    try:
        sweep()  # as the next run's start does
    finally:
        tempfile.tempdir = old
    assert list((inner / "temporary").iterdir()) == []
