"""`autograder adequacy`: do the hidden tests kill every planted bug, and spare every valid solution?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli import choices

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

    from autograder.adequacy import Adequacy


def adequacy(
    assignment: Annotated[str | None, typer.Argument(help="Name of the assignment (not with --all).")] = None,
    all: Annotated[bool, typer.Option("--all", help="Every assignment of the course.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="This bug or alternative only.")
    ] = None,
    keys: Annotated[
        int, typer.Option(min=1, metavar="N", help="Under how many course keys; more find rarer faults.")
    ] = 3,
    jobs: choices.Jobs = choices.DEFAULT_JOBS,
    course: choices.CourseFolder = None,
    isolation: choices.IsolationName = "zygote",
    unsafe_allow: choices.UnsafeAllow = "",
    as_json: choices.Json = False,
) -> None:
    """Print the kill matrix; exit 1 if a planted bug survives or a valid solution loses a point."""
    from rich.console import Console
    from rich.progress import Progress

    from autograder import adequacy as tested
    from autograder import suites
    from autograder.executors import LaneSettings
    from autograder.reports import escape

    chosen = choices.assignments(choices.course(course), assignment, all)
    level = choices.level(unsafe_allow)
    results = []
    for one in chosen:
        names = {bug.name for bug in suites.bugs_of(one)} | {"reference", *suites.alternatives_of(one)}
        for name in only or []:
            if name not in names:
                raise choices.UsageError(f"{one.name} has no planted bug or alternative called {name!r}")
        settings = LaneSettings(level, one.runtime, choices.isolation(isolation))
        names_only = frozenset(only or [])
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
            tell = _teller(bar, one.name)
            results.append(
                tested.measure(
                    one,
                    settings,
                    jobs=jobs,
                    keys=tested.course_keys(keys),
                    only=names_only,
                    course_folder=choices.folder(course),
                    tell=tell,
                )
            )
    if as_json:
        typer.echo(escape.json(results))
    else:
        for result in results:
            _print(result)
    raise typer.Exit(1 if any(result.faults for result in results) else 0)


def _teller(bar: Progress, name: str) -> Callable[[int, int], None]:
    task = bar.add_task(f"testing the tests of {name}", total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _print(result: Adequacy) -> None:
    """The matrix: a row a bug, a column a test of its part; ● the test named for it, ○ another that notices."""
    for part in dict.fromkeys(bug.part for bug in result.bugs):
        tests = [test for test, own in result.tests.items() if own == part]
        typer.echo(f"\n{result.assignment}: {part}")
        for number, test in enumerate(tests, 1):
            typer.echo(f"  {number:2} {test}")
        for bug in (bug for bug in result.bugs if bug.part == part):
            row = "".join(
                "●" if t == bug.killed_by and t in bug.noticed_by else "○" if t in bug.noticed_by else "·"
                for t in tests
            )
            public = {True: "  passes the public tests", False: "", None: ""}[bug.passes_public]
            dead = "killed" if bug.keys and bug.killed == bug.keys else "SURVIVES"
            typer.echo(f"  {row}  {dead} {bug.killed}/{bug.keys}  {bug.name}{public}")
    killed = sum(bug.keys > 0 and bug.killed == bug.keys for bug in result.bugs)
    kept = sum(valid.kept == valid.keys for valid in result.valid)
    typer.echo(f"\n{result.assignment}: {killed} of {len(result.bugs)} planted bugs killed")
    typer.echo(f"{result.assignment}: {kept} of {len(result.valid)} valid solutions kept")
    for fault in result.faults:
        typer.echo(f"  inadequate: {fault}")
