"""Hidden suites, one folder an assignment: property tests, planted bugs, alternatives. Absent from a student's kit."""

from __future__ import annotations

from pathlib import Path

from autograder.course import Assignment
from autograder.judge.suite import Bug, load


def bugs_of(assignment: Assignment) -> list[Bug]:
    """The planted bugs of an assignment."""
    return list(load(assignment.suite / "bugs.py").BUGS)


def alternatives_of(assignment: Assignment) -> dict[str, Path]:
    """Whole solutions that differ from the reference and must lose no point, by name."""
    return {path.stem: path for path in sorted((assignment.suite / "alternatives").glob("*.py"))}
