"""`autograder gradescope`: an autograder.zip for Gradescope."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices


def gradescope(
    assignment: Annotated[str, typer.Argument(help="Name of the assignment.")],
    out: Annotated[Path, typer.Argument(metavar="ZIP", help="The file to write.")],
    course: choices.CourseFolder = None,
    key_file: choices.KeyFile = None,
) -> None:
    """Make the zip that Gradescope grades with, everything pinned. It holds the suite and the key: keep it to yourself.

    Grading an export here, at level full, is safer: `autograder grade`, then `autograder export --to gradescope`.
    """
    from autograder.lms import gradescope as made

    own = choices.course(course)
    one = own.assignment(assignment)
    if not one.solution.is_file():
        raise choices.UsageError(f"{one.solution} is not there: this is a student's kit")
    count = made.write_zip(own, one, choices.key(key_file).secret, out)
    typer.echo(f"wrote {count} files into {out}; base image: Ubuntu 24.04; container: 1 CPU, 2 GB or more")
