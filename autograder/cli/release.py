"""`autograder release`: what students receive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices


def release(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[ASSIGNMENT] DEST", help="One assignment, or all; a new folder.")
    ] = None,
    stubs: Annotated[
        bool, typer.Option("--stubs", help="Write the stubs in assignments/ from solutions/ instead.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --stubs: only say which have drifted; exit 1 if one has.")
    ] = False,
    course: choices.CourseFolder = None,
) -> None:
    """Make the students' kit: assignments and `autograder check`, without anything hidden."""
    own = choices.course(course)
    if stubs or check:
        from autograder import stubs as made

        changed = made.drifted(own.root) if check else made.write_stubs(own.root)
        for path in changed:
            typer.echo(f"{'drifted' if check else 'wrote'} {path}")
        if not changed:
            typer.echo("every stub is what its solution makes")
        raise typer.Exit(1 if check and changed else 0)
    if not what or len(what) > 2:
        raise choices.UsageError("say where to: autograder release [ASSIGNMENT] DEST")
    from autograder import kit

    chosen = [own.assignment(what[0])] if len(what) == 2 else list(own.assignments)
    files = kit.release(own, chosen, Path(what[-1]))
    typer.echo(f"wrote {len(files)} files to {what[-1]}; students install it with `pip install .`")
