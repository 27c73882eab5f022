"""`autograder grade`: a folder of submissions becomes records, a table and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices


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
    from autograder.cli import progress
    from autograder.intake import intake

    own = choices.course(course)
    chosen = choices.assignments(own, assignment, all)
    piles = []
    for one in chosen:
        path = submissions / one.name if all else submissions
        if not (all and not path.exists()):
            piles.append((one, list(intake(path, module=one.module))))
    if not piles:
        raise choices.UsageError(f"{submissions} has a folder for none of: {', '.join(a.name for a in chosen)}")
    settings = progress.Settings(
        course=own, course_folder=choices.folder(course), key=choices.key(key_file), out=out, jobs=jobs,
        isolation=choices.isolation(isolation), device=device, regrade=regrade, unsafe_allow=unsafe_allow,
    )  # fmt: skip
    progress.grade(piles, settings, as_json=as_json)
