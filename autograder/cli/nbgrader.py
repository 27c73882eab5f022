"""`autograder nbgrader`: a ready nbgrader course, graded in our judge by nbgrader's own commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices


def nbgrader(
    course_dir: Annotated[Path, typer.Argument(help="A new folder, or one that this command made.")],
    assignment: Annotated[str | None, typer.Option(help="One assignment; all of them where it is left out.")] = None,
    db: Annotated[
        str, typer.Option(metavar="URL", help="nbgrader's database; SQLite in COURSE_DIR where it is left out.")
    ] = "",
    roster: Annotated[Path | None, typer.Option(metavar="FILE", help="CSV of students and extensions.")] = None,
    jobs: choices.Jobs = choices.DEFAULT_JOBS,
    course: choices.CourseFolder = None,
    key_file: choices.KeyFile = None,
    unsafe_allow: choices.UnsafeAllow = "",
) -> None:
    """Make an nbgrader course, or bring one up to date; nbgrader's own commands do the rest."""
    from autograder import roster as rosters
    from autograder.lms.nbgrader import course as made

    own = choices.course(course)
    chosen = choices.assignments(own, assignment, assignment is None)
    settings = made.Settings(
        course_folder=choices.folder(course), database=db, key_file=str(key_file.resolve()) if key_file else "",
        jobs=jobs, unsafe_allow=unsafe_allow, roster=str(roster.resolve()) if roster else "",
    )  # fmt: skip
    known = rosters.read(roster, own)
    files = made.make(own, chosen, course_dir, settings)
    made.enroll(own, chosen, course_dir, settings, known)
    name = assignment or "<assignment>"
    typer.echo(f"wrote {len(files)} files; now, in {course_dir}:")
    typer.echo(f"  nbgrader generate_assignment {name}    # release/{name}: what students receive")
    typer.echo(f"  nbgrader autograde {name}              # after submitted/<student>/{name} is there")
    typer.echo(f"  nbgrader generate_feedback {name}")
