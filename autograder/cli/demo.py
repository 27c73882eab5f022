"""`autograder demo`: grade the embedded class and write its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices


def demo(
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="[ASSIGNMENT]...", help="All of the course where none is named.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where submissions, records and report go.")] = Path("report"),
    jobs: choices.Jobs = choices.DEFAULT_JOBS,
    course: choices.CourseFolder = None,
    isolation: choices.IsolationName = "zygote",
    unsafe_allow: choices.UnsafeAllow = "",
    as_json: choices.Json = False,
) -> None:
    """Grade the embedded class: good, unfinished, broken and hostile submissions for each assignment."""
    from autograder import demo as embedded
    from autograder.cli import progress
    from autograder.intake import intake
    from autograder.records import DEMO_KEY, Key, Store

    own = choices.course(course)
    level = choices.level(unsafe_allow)
    contained = level in choices.CONTAINED
    if not contained:
        typer.echo(f"level {level} contains nothing, so the hostile members of the class are left out", err=True)
    chosen = [own.assignment(name) for name in assignments] if assignments else list(own.assignments)
    Store(out)
    piles = []
    for one in chosen:
        members = embedded.members(one, hostile=contained)
        folder = embedded.write(members, out / "submissions" / one.name, one.module)
        piles.append((one, list(intake(folder, module=one.module))))
    settings = progress.Settings(
        course=own, course_folder=choices.folder(course), key=Key(DEMO_KEY), out=out, jobs=jobs,
        isolation=choices.isolation(isolation), level=level,
    )  # fmt: skip
    progress.grade(piles, settings, as_json=as_json)
