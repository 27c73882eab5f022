"""The toy course, submissions made by editing its solution, and grading them with no boundary between."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from autograder.course import Assignment, Limits, open_course
from autograder.judge.grading import Plan, grade
from autograder.judge.session import Connection, LocalConnection
from autograder.outcome import TestOutcome

torch.set_num_threads(1)
COURSE = Path(__file__).parent / "toycourse"
SOLUTION = (COURSE / "solutions" / "toy" / "toy.py").read_text(encoding="utf-8")
STUB = (COURSE / "assignments" / "toy" / "toy.py").read_text(encoding="utf-8")
MEAN = "x[..., max(0, t + 1 - window) : t + 1].mean(-1)"


def edited(*edits: tuple[str, str], source: str = SOLUTION) -> str:
    """The solution with each old text, which occurs once, replaced by a new one."""
    for old, new in edits:
        assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times"
        source = source.replace(old, new)
    return source


def toy(course: Path = COURSE) -> Assignment:
    return open_course(course).assignment("toy")


def copied(folder: Path, *edits: tuple[str, str], path: str = "suites/toy/test_toy.py") -> Path:
    """A copy of the course in `folder`, with edits of one of its files."""
    course = folder / "course"
    if not course.exists():
        shutil.copytree(COURSE, course, ignore=shutil.ignore_patterns("__pycache__"))
    file = course / path
    file.write_text(edited(*edits, source=file.read_text(encoding="utf-8")), encoding="utf-8")
    return course


def graded(
    source: str | bytes,
    *,
    seed: bytes = b"seed",
    course: Path = COURSE,
    connect: Callable[[Limits], Connection] = lambda limits: LocalConnection(),
    **more: Any,
) -> dict[str, TestOutcome]:
    """What each test says of a submission, in the order in which they ran."""
    # Two courses have modules of one name. A judge has one process for each job; here they share one.
    for name in [name for name in sys.modules if name in ("toy", "test_toy") or name.startswith("toy.")]:
        del sys.modules[name]
    data = source.encode() if isinstance(source, str) else source
    outcomes = grade(Plan(toy(course), data, connect, seed=seed, **more))
    assert len({outcome.test for outcome in outcomes}) == len(outcomes)
    return {outcome.test: outcome for outcome in outcomes}
