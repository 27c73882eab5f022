"""`autograder replay`: one failure, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices


def replay(
    record: Annotated[Path, typer.Argument(help="A grade record: OUT/records/….json.")],
    test: Annotated[str, typer.Argument(help="The name of a test in it.")],
    course: choices.CourseFolder = None,
    key_file: choices.KeyFile = None,
    isolation: choices.IsolationName = "zygote",
    unsafe_allow: choices.UnsafeAllow = "",
    as_json: choices.Json = False,
) -> None:
    """Run one test of a record again, with the inputs that it drew; exit 1 if it fails."""
    from rich.console import Console

    from autograder import batch
    from autograder.records import DEMO_KEY, Key, read, suite_hashes
    from autograder.reports import escape, failure

    old = read(record)
    if test not in {outcome.test for outcome in old.tests}:
        raise choices.UsageError(
            f"{record} has no test {test!r}; it has: {', '.join(o.test for o in old.tests) or 'none'}"
        )
    own = choices.course(course)
    part = next(outcome.part for outcome in old.tests if outcome.test == test)
    if suite_hashes(own.assignment(old.assignment)).get(part) != old.suite_parts.get(part):
        raise choices.UsageError(
            f"{record} was graded with another version of part {part}: other inputs would be drawn; grade it again"
        )
    key = Key(DEMO_KEY) if old.key == "demo" else choices.key(key_file)
    if key.id != old.key:
        raise choices.UsageError(
            f"{record} was graded under course key {old.key}, this key is {key.id}: other inputs would be drawn"
        )
    options = batch.Options(
        key=key, level=choices.level(unsafe_allow, old.device), device=old.device,
        isolation=choices.isolation(isolation), course_folder=choices.folder(course),
    )  # fmt: skip
    outcome = batch.replay(own, old, test, options)
    if as_json:
        typer.echo(escape.json(outcome))
    else:
        Console().print(failure.outcome(outcome), crop=False)
    raise typer.Exit(0 if outcome.status == "passed" else 1)
