"""`autograder ci`: one submission on each push, as a GitHub workflow wants to hear of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices


def ci(
    assignment: Annotated[str, typer.Argument(help="Name of the assignment.")],
    path: Annotated[Path, typer.Argument(help="The student's file, or the folder that holds it.")],
    out: Annotated[Path, typer.Option(help="Where the record goes.")] = Path("grades"),
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit's XML here.")] = None,
    jobs: choices.Jobs = choices.DEFAULT_JOBS,
    course: choices.CourseFolder = None,
    key_file: choices.KeyFile = None,
    isolation: choices.IsolationName = "zygote",
    unsafe_allow: choices.UnsafeAllow = "",
) -> None:
    """Grade one submission: annotations on standard output, the summary and the Classroom result in their files.

    Exit 0 with full marks or where the course shows no results yet, 1 below, 3 where the grader itself failed. Tokens
    are counted in OUT: it lasts only where the workflow keeps it, out of the student's reach.
    """
    from datetime import UTC, datetime

    from autograder import batch, intake, ledger, policy, throttle
    from autograder.lms import ci as told
    from autograder.lms import export
    from autograder.records import Store
    from autograder.reports.escape import workflow
    from autograder.roster import Roster

    for written in (junit, *map(_named_in, ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"))):
        if written and (written.is_dir() or not (written.parent.is_dir() or written.parent.resolve() == out.resolve())):
            raise choices.UsageError(f"cannot write {written}: name a file in a folder that is there")
    own = choices.course(course)
    one = own.assignment(assignment)
    student = os.environ.get("GITHUB_REPOSITORY", "").rpartition("/")[2] or path.resolve().stem
    if path.is_dir():
        submission, file = intake.take(path, student, module=one.module, only_module=True), path / one.module
    else:
        (submission,), file = intake.intake(path, module=one.module), path
    store = Store(out)
    options = batch.Options(
        key=choices.key(key_file), level=choices.level(unsafe_allow), jobs=jobs,
        isolation=choices.isolation(isolation), course_folder=choices.folder(course),
    )  # fmt: skip
    kept = ledger.Ledger(out, one.name)
    numbered = kept.enter([intake.renamed(submission, student)])
    (record,) = batch.Batch(own, one, numbered, store, options).run(lambda news: None)
    if record.grader_error:
        typer.echo(f"::error title=Grader error::{workflow(record.grader_error.strip()[-1500:])}")
        raise typer.Exit(3)
    now = datetime.now(UTC)
    # A time that has not come is asked for first: it uses no token.
    if not (why := told.withheld(own, one.name, throttle.Allowance(True, 0), now)):
        allowed = kept.ask_to_show(record.student, record.attempt, now, own.feedback)
        why = told.withheld(own, one.name, allowed, now)
    if why:
        typer.echo(f"::notice title=Graded::{workflow(f'Graded and recorded; {why}.')}")
        _append("GITHUB_STEP_SUMMARY", f"Graded and recorded; {why}.\n")
        return
    if words := told.left(allowed):
        typer.echo(f"::notice title=Hidden results::{workflow(words)}")
    for line in told.error_commands(record, _relative(file), own.feedback.detail):
        typer.echo(line)
    for line in told.notices(record):
        typer.echo(line)
    _append("GITHUB_STEP_SUMMARY", told.summary(record, own.feedback.detail))
    _append("GITHUB_OUTPUT", f"result={told.classroom(record)}\nscore={record.score}\nmax_score={record.max_score}\n")
    if junit is not None:
        _write(junit, "w", export.junit(policy.standings(own, [record], {}, Roster())))
    raise typer.Exit(0 if record.score == record.max_score else 1)


def _relative(file: Path) -> str:
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    whole = file.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else file.as_posix()


def _named_in(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def _append(variable: str, text: str) -> None:
    if path := _named_in(variable):
        _write(path, "a", text)


def _write(path: Path, mode: str, text: str) -> None:
    try:
        with open(path, mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise choices.UsageError(f"cannot write {path}: {error.strerror}") from None
