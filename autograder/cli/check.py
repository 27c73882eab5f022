"""`autograder check`: a student's own check of their own file, against the public properties."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli import choices

if TYPE_CHECKING:
    from collections.abc import Callable

    from autograder.course import Assignment
    from autograder.outcome import TestOutcome
    from autograder.sandbox import Forker

POLL_SECONDS = 0.5


def check(
    assignment: Annotated[str, typer.Argument(help="Name of the assignment.")],
    path: Annotated[
        Path | None, typer.Argument(help="Your file or its folder; else looked for here and in assignments/.")
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Everything that fails, not only the first thing to fix.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Check again whenever the file is saved.")] = False,
    course: choices.CourseFolder = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="Work as on systems that cannot fork, such as Windows.")
    ] = sys.platform != "linux",
    as_json: choices.Json = False,
) -> None:
    """Check your own solution: exit 0 if every public property holds, 1 if not.

    Your code runs on your machine as you, uncontained. The hidden tests of the grader draw more and other inputs.
    """
    own = choices.course(course).assignment(assignment)
    file = _find(own, path)
    from autograder import sandbox

    forker = sandbox.start_here(portable)  # imports torch once, for the workers and for this process
    try:
        while True:
            stamp = file.stat().st_mtime_ns
            first = _First(own, all, silent=as_json)
            outcomes = _run(own, file.read_bytes(), forker, portable, first.tell)
            _show(own, outcomes, all, as_json, first.told)
            if not watch:
                break
            typer.echo(f"watching {file}; Ctrl-C ends")
            while file.stat().st_mtime_ns == stamp:
                time.sleep(POLL_SECONDS)
    finally:
        forker.close()
    raise typer.Exit(0 if {outcome.status for outcome in outcomes} == {"passed"} else 1)


def _find(assignment: Assignment, path: Path | None) -> Path:
    """The file to check: the one named, or the first of the usual places that has it."""
    module = assignment.module
    if path is not None:
        places = [path / module if path.is_dir() else path]
    else:
        places = [Path(module), Path(assignment.name) / module, Path("assignments") / assignment.name / module]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place) for place in places)
    raise choices.UsageError(
        f"found no {module} (looked for {looked}); name it: autograder check {assignment.name} PATH"
    )


class _First:
    """Shows what to fix first while the rest is still being tried. Parts are tried in the order of the handout."""

    def __init__(self, assignment: Assignment, everything: bool, silent: bool) -> None:
        from rich.console import Console

        self._assignment, self._everything, self._silent = assignment, everything, silent
        self._console = Console(file=sys.stdout)  # while tests run, sys.stdout is a log
        self.told = ""

    def tell(self, test: TestOutcome) -> None:
        # What ran out of time is tried again at the end, and may hold then.
        if self._silent or self.told or test.status in ("passed", "skipped", "timeout"):
            return
        from autograder.reports import failure

        self.told = test.test
        self._console.print(failure.fix_first(self._assignment, test, self._everything), crop=False)


def _run(
    assignment: Assignment, source: bytes, forker: Forker, portable: bool, tell: Callable[[TestOutcome], None]
) -> list[TestOutcome]:
    import hashlib

    import torch

    from autograder.judge import misconceptions
    from autograder.judge.connect import KeptConnection, SandboxConnection
    from autograder.judge.grading import Plan, grade
    from autograder.judge.suite import load

    torch.set_num_threads(1)
    wrongs = getattr(load(assignment.public_tests), "WRONG", [])
    plan = Plan(
        assignment, source, KeptConnection(forker) if portable else partial(SandboxConnection, forker),
        seed=hashlib.sha256(source).digest(), suite="public",
        diagnose=lambda part, trial: misconceptions.name(wrongs, trial), tell=tell,
    )  # fmt: skip
    return grade(plan)


def _show(assignment: Assignment, outcomes: list[TestOutcome], everything: bool, as_json: bool, told: str) -> None:
    if as_json:
        from autograder.reports import escape

        typer.echo(escape.json(outcomes))
        return
    from rich.console import Console

    from autograder.reports import failure

    Console().print(failure.checked(assignment, outcomes, everything, told), crop=False)
