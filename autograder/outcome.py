"""What one hidden test was worth, and why: the plain data that leaves the judge."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["passed", "failed", "error", "timeout", "crashed", "out_of_memory", "skipped"]


class TraceEntry(msgspec.Struct, frozen=True):
    """A line of the student's own file that was running when it raised."""

    line: int
    function: str
    text: str


class TestOutcome(msgspec.Struct):
    """One test against one submission. Texts are for people and are escaped where they are shown, never before."""

    __test__ = False  # pytest would collect it by its name

    test: str
    part: str
    points: int
    kind: str
    status: Status
    sentence: str  # the property, as its docstring says it
    earned: int = 0
    reason: str = ""  # one line: what went wrong
    calls: list[str] = []  # the smallest counterexample, the failing call last
    returned: str = ""
    expected: str = ""
    trace: list[TraceEntry] = []
    message: str = ""  # text that the submission itself made, or the judge's traceback: for the instructor alone
    hint: str = ""  # the named mistake that returns exactly the same
    hint_evidence: str = ""
    snippet: str = ""  # for the student: shows the failure with their file alone
    replay: str = ""  # for the instructor: runs this test again
    examples: int = 0
    seconds: float = 0.0
    figure: float | None = None  # of an advisory test: how many times as long as the reference it took
