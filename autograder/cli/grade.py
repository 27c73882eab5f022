"""`autograder grade`: a folder of submissions becomes records, a table and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli import choices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autograder.intake import Submission
    from autograder.lms.layouts import Taken


def grade(
    assignment: Annotated[str | None, typer.Argument(help="Name of the assignment (not with --all).")] = None,
    submissions: Annotated[
        Path | None, typer.Argument(help="Folder, zip, notebook or file that was handed in.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where records and report go.")] = Path("grades"),
    jobs: choices.Jobs = choices.DEFAULT_JOBS,
    course: choices.CourseFolder = None,
    key_file: choices.KeyFile = None,
    isolation: choices.IsolationName = "zygote",
    device: Annotated[str, typer.Option(help="cpu, or cuda: weaker containment, off by default.")] = "cpu",
    regrade: Annotated[bool, typer.Option("--regrade", help="Grade again what has a record already.")] = False,
    layout: Annotated[str, typer.Option(help="Of SUBMISSIONS, where it is not to be recognised.")] = "",
    times: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV of student and submitted_at, where the LMS's files lack it."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only show which file is whose.")] = False,
    all: Annotated[bool, typer.Option("--all", help="SUBMISSIONS holds a folder for each assignment.")] = False,
    unsafe_allow: choices.UnsafeAllow = "",
    as_json: choices.Json = False,
) -> None:
    """Grade what students handed in.

    Running the same command again looks up what is graded already and goes on with the rest.
    """
    if all and submissions is None:
        assignment, submissions = None, Path(assignment) if assignment else None
    if submissions is None:
        raise choices.UsageError(
            "name the submissions: autograder grade ASSIGNMENT PATH, or autograder grade --all PATH"
        )
    if all and times:
        raise choices.UsageError("--times has the times of one assignment: name that one, and leave --all out")
    from autograder.cli import progress
    from autograder.ledger import Ledger
    from autograder.lms import layouts
    from autograder.lms import times as lms_times
    from autograder.records import Store, read

    own = choices.course(course)
    chosen = choices.assignments(own, assignment, all)
    piles = []
    told: list[tuple[str, list[Submission]]] = []
    for name in sorted(layouts.entries(submissions).keys() - {one.name for one in chosen}) if all else ():
        told.append((f"{name} in {submissions} is no assignment of this course: nothing of it is graded", []))
    for one in chosen:
        path = submissions / one.name if all else submissions
        if all and not path.exists():
            continue
        if all and path.is_dir() and not layouts.entries(path):
            told.append((f"{path} is empty: nothing of {one.name} is graded", []))
            continue
        found = layouts.take_in(path, one, layout)
        taken = lms_times.given(found.submissions, times)
        like = layouts.resembled(path, one) if found.layout == "plain" and not layout else ""
        told += _understood(one.name, found, like, taken, show)
        piles.append((one, taken))
    if show or not piles:
        for line, whose in told:
            _show(line, whose)
    if not piles:
        raise choices.UsageError(f"{submissions} has submissions for none of: {', '.join(a.name for a in chosen)}")
    if show:
        return
    settings = progress.Settings(
        course=own, course_folder=choices.folder(course), key=choices.key(key_file), out=out, jobs=jobs,
        isolation=choices.isolation(isolation), device=device, regrade=regrade, unsafe_allow=unsafe_allow,
        level=choices.level(unsafe_allow, device),
    )  # fmt: skip
    store = Store(out)
    for path in () if regrade else store.folder.glob("*.json"):
        read(path)  # a damaged record stops this here, and not when all is graded and the report is to be written
    numbered = [(one, Ledger(out, one.name).enter(taken)) for one, taken in piles]
    for line, whose in told:
        _show(line, whose)
    progress.grade(numbered, settings, as_json=as_json)


def _understood(
    assignment: str, found: Taken, like: str, taken: list[Submission], show: bool
) -> Iterator[tuple[str, list[Submission]]]:
    """What is said of a folder: a line, and below it which file is whose, where that is asked for or may be wrong."""
    from autograder.lms import layouts

    doubt = f", though some entries look like {like}" if like else ""
    summary = f"{assignment}: {len(taken)} submission{'s' * (len(taken) != 1)}, laid out as {found.layout}{doubt}"
    yield summary, taken if show or like or found.layout != "plain" else []
    if found.left_out:
        yield f"  {found.left_out}", []
    if untimed := layouts.untimed(taken):
        yield f"  without a time that can be read, so never late (--times can give them): {'; '.join(untimed)}", []


def _show(summary: str, taken: list[Submission]) -> None:
    """Which file is whose, on standard error: the ledger keeps the same."""
    from autograder.reports.escape import terminal

    typer.echo(terminal(summary), err=True)
    for one in taken:
        when = one.submitted_at.isoformat(timespec="minutes") if one.submitted_at else "late" if one.late else ""
        known = " ".join(f"{name}={value}" for name, value in one.identities.items())
        line = [terminal(one.student), when, terminal(known), f"<- {terminal(one.origin)}", terminal(one.problem)]
        typer.echo("  " + "  ".join(filter(None, line)), err=True)
