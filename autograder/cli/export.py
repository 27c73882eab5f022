"""`autograder export`: scores, after the course's policy, in the files of an LMS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import choices

FORMATS = ("canvas", "moodle", "gradescope", "junit", "nbgrader")


def export(
    records: Annotated[Path, typer.Argument(help="The --out folder of `autograder grade`.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=", ".join(FORMATS))],
    out: Annotated[Path | None, typer.Option(help="The file to write (gradescope: autograder.zip).")] = None,
    assignment: Annotated[str | None, typer.Option(help="Where the records have several.")] = None,
    gradebook: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Canvas's gradebook export, Moodle's grading worksheet.")
    ] = None,
    column: Annotated[str, typer.Option(help="Canvas: the assignment's column, as it is called there.")] = "",
    db: Annotated[str, typer.Option(metavar="URL", help="nbgrader: its database, such as sqlite:///gradebook.db")] = "",
    roster: Annotated[Path | None, typer.Option(metavar="FILE", help="CSV: extensions, scores, identities.")] = None,
    course: choices.CourseFolder = None,
) -> None:
    """Fill one column of a gradebook, or write JUnit, Gradescope's results or nbgrader's database.

    Exit 1 if a student with a score fits no row: they are named, nothing is guessed.
    """
    from autograder import ledger, policy
    from autograder import roster as rosters
    from autograder.lms import export as exported
    from autograder.records import read_all
    from autograder.reports.escape import terminal

    if to not in FORMATS:
        raise choices.UsageError(f"--to is one of {', '.join(FORMATS)}, not {to!r}")
    own, known, entries = choices.course(course), rosters.read(roster), ledger.read_all(records)
    found = list(read_all(records))
    uncontained = sorted({record.level for record in found} - set(choices.CONTAINED))
    if uncontained:
        raise choices.UsageError(f"some records were made at level {uncontained[0]}, where a submission can forge them")
    names = sorted({record.assignment for record in found})
    if assignment is None and len(names) > 1 and to in ("canvas", "moodle", "gradescope"):
        raise choices.UsageError(f"name one with --assignment: {', '.join(names)}")
    wanted = names if assignment is None else [own.assignment(assignment).name]
    # The bank of late days is the whole course's, so standings are taken before some are left out.
    standings = [s for s in policy.standings(own, found, entries, known) if s.assignment in wanted]
    if not standings:
        raise choices.UsageError(f"{records} has no record of {assignment}")
    for standing in standings:
        if standing.question:
            typer.echo(f"look at {terminal(standing.student)}: {standing.question}", err=True)
    if to == "nbgrader":
        from autograder.lms.nbgrader import gradebook as database

        if not db:
            raise choices.UsageError("name nbgrader's database: --db sqlite:///gradebook.db")
        typer.echo(f"wrote {database.write(own, standings, db)} submissions to {db}")
        return
    if to == "gradescope":
        from autograder.lms import gradescope

        target = out or Path("autograder.zip")
        count = gradescope.write_precomputed(own, standings, entries, target)
        typer.echo(
            f"wrote {count} results into {target}; upload it as the assignment's autograder and rerun it for all"
        )
        if count < len(standings):
            typer.echo(f"{len(standings) - count} have no Gradescope submission and were left out", err=True)
            raise typer.Exit(1)
        return
    if to == "junit":
        target = out or Path("junit.xml")
        target.write_text(exported.junit(standings), encoding="utf-8")
        typer.echo(f"wrote {target}")
        return
    if gradebook is None:
        raise choices.UsageError(f"--gradebook names the file that you exported from {to.capitalize()}")
    text = exported.read_text(gradebook)

    def who(standing: policy.Standing) -> dict[str, str]:
        return exported.identities(standing, entries, known)

    title = column or own.assignment(wanted[0]).title
    filled = exported.canvas(text, standings, who, title) if to == "canvas" else exported.moodle(text, standings, who)
    target = out or gradebook.with_name(f"{gradebook.stem}-filled.csv")
    target.write_text(filled.text, encoding="utf-8", newline="")
    typer.echo(f"filled {filled.matched} rows; wrote {target}")
    for student, why in filled.unmatched:
        typer.echo(f"left out {terminal(student)}: {why}", err=True)
    raise typer.Exit(1 if filled.unmatched else 0)
