"""`autograder regrade`: after a suite was mended, what changes for whom; then, if that is right, accept it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli import choices

if TYPE_CHECKING:
    from autograder import batch
    from autograder.records import Record


def regrade(
    records: Annotated[Path, typer.Argument(help="The --out folder of `autograder grade`.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Put what this run shows in the old records' place.")
    ] = False,
    course: choices.CourseFolder = None,
    key_file: choices.KeyFile = None,
    unsafe_allow: choices.UnsafeAllow = "",
    as_json: choices.Json = False,
) -> None:
    """Run only the parts whose tests have changed and show whose score would change; --accept makes it so.

    Scores by hand, in the roster or in nbgrader, stay as they are.
    """

    from autograder import batch, regrade
    from autograder.records import DEMO_KEY, Key, read_all
    from autograder.reports import escape, html
    from autograder.reports.escape import terminal

    out = records.parent if records.name == "records" else records
    own = choices.course(course)

    def options(record: Record) -> batch.Options:
        key = Key(DEMO_KEY) if record.key == "demo" else choices.key(key_file)
        if key.id != record.key:
            raise choices.UsageError(f"{record.student} was graded under course key {record.key}, this key is {key.id}")
        return batch.Options(
            key=key, level=choices.level(unsafe_allow), device=record.device,
            isolation=choices.isolation(record.isolation), course_folder=choices.folder(course),
        )  # fmt: skip

    found = list(read_all(out))
    changes = regrade.run(own, found, out, options, lambda change: None)
    if as_json:
        told = [
            {"assignment": c.old.assignment, "student": c.old.student, "attempt": c.old.attempt, "ran": c.ran,
             "before": c.old.score, "after": c.new.score, "record": c.new.id, "error": c.new.grader_error}
            for c in changes
        ]  # fmt: skip
        typer.echo(escape.json(told))
    else:
        for change in changes:
            old, new = change.old, change.new
            mark = f"{old.score} -> {new.score}" if new.score != old.score else f"{old.score}, as before"
            parts = ", ".join(f"{after.name} {before.earned} -> {after.earned}" for before, after in change.parts)
            line = f"{old.assignment}  {terminal(old.student)}  {mark}{'  (' + parts + ')' if parts else ''}"
            typer.echo(line + ("  NOT GRADED: the grader could not do its work" if new.grader_error else ""))
        moved = sum(change.old.score != change.new.score for change in changes)
        ran = sorted({part for change in changes for part in change.ran})
        typer.echo(
            f"{len(changes)} graded again ({', '.join(ran) or 'no part has changed'}), {moved} with another score"
        )
    if accept:
        typer.echo(f"accepted {regrade.accept(out, changes)} records", err=as_json)
        html.write_site(list(read_all(out)), out)
    elif changes:
        typer.echo("nothing is replaced yet; --accept replaces", err=True)
    raise typer.Exit(3 if any(change.new.grader_error for change in changes) else 0)
