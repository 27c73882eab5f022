"""`autograder similarity`: submissions that share more than the starter code, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices


def similarity(
    assignment: Annotated[str, typer.Argument(help="Name of the assignment.")],
    submissions: Annotated[Path, typer.Argument(help="As for `autograder grade`.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("similarity.html"),
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Shares from here on are shown.")] = 0.5,
    layout: Annotated[str, typer.Option(help="Of SUBMISSIONS, where it is not to be recognised.")] = "",
    course: choices.CourseFolder = None,
    as_json: choices.Json = False,
) -> None:
    """Compare all pairs by fingerprints, names of variables aside. Needs copydetect."""

    from autograder.lms import layouts
    from autograder.lms import similarity as compared
    from autograder.reports import escape
    from autograder.reports.escape import terminal

    one = choices.course(course).assignment(assignment)
    handed_in = layouts.take_in(submissions, one, layout)
    taken = handed_in.submissions
    if handed_in.left_out:
        typer.echo(terminal(handed_in.left_out), err=True)
    for without in taken:
        if without.source is None:
            typer.echo(f"{terminal(without.student)}: not compared, {terminal(without.problem)}", err=True)
    found = compared.compare(taken, (one.folder / one.module).read_text(encoding="utf-8"))
    pairs = found.pairs
    for student in found.unread:
        typer.echo(f"{terminal(student)}: no tokens within {compared.SECONDS:.0f} s and 2 GiB; look by hand", err=True)
    close = [pair for pair in pairs if pair.share >= threshold]
    try:
        out.write_text(compared.page(one.name, pairs, taken, threshold), encoding="utf-8")
    except OSError as error:
        raise choices.UsageError(f"cannot write {out}: {error.strerror}; name another --out") from None
    if as_json:
        typer.echo(escape.json(close))
        return
    for pair in close:
        shares = f"{pair.left_share:4.0%} {pair.right_share:4.0%}"
        typer.echo(f"{shares}  {terminal(pair.left)}  {terminal(pair.right)}")
    typer.echo(f"{len(close)} of {len(pairs)} pairs share {threshold:.0%} or more; side by side: {out}")
