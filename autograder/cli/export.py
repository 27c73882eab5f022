"""`autograder export`: scores, after the course's policy, in the files of an LMS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli import choices

if TYPE_CHECKING:
    from autograder.course import Course
    from autograder.ledger import Entry
    from autograder.policy import Standing
    from autograder.roster import Roster

    Entries = dict[tuple[str, str], list[Entry]]

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

    Scores that the course's policy or the roster changed are shown before and after. Exit 1 if a score found no place,
    such as a student who fits no row: they are named, nothing is guessed.
    """
    from autograder import ledger, policy
    from autograder import roster as rosters
    from autograder.lms import export as exported
    from autograder.records import read_all
    from autograder.reports.escape import terminal

    if to not in FORMATS:
        raise choices.UsageError(f"--to is one of {', '.join(FORMATS)}, not {to!r}")
    if to == "nbgrader" and not db:
        raise choices.UsageError("name nbgrader's database: --db sqlite:///gradebook.db")
    if to in ("canvas", "moodle") and gradebook is None:
        raise choices.UsageError(f"--gradebook names the file that you exported from {to.capitalize()}")
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
        complete = _nbgrader(own, standings, db)
    elif to == "gradescope":
        complete = _gradescope(own, standings, entries, out or Path("autograder.zip"))
    elif to == "junit":
        complete = _junit(standings, out or Path("junit.xml"))
    else:
        assert gradebook is not None
        target = out or gradebook.with_name(f"{gradebook.stem}-filled.csv")
        complete = _fill(to, gradebook, target, standings, entries, known, column or own.assignment(wanted[0]).title)
    for standing in standings:
        changed = exported.before_and_after(standing)
        if changed:
            typer.echo(f"{terminal(standing.student)} in {standing.assignment}: {terminal(changed)}")
    raise typer.Exit(0 if complete else 1)


def _nbgrader(own: Course, standings: list[Standing], db: str) -> bool:
    from autograder.lms.nbgrader import gradebook

    written = gradebook.write(own, standings, db)
    typer.echo(f"wrote {written.count} submissions to {db}")
    _say((s.student, "left out, excused: a score of theirs that nbgrader has stays") for s in written.excused)
    _say((s.student, why) for s, why in written.unlike)
    return not written.unlike


def _gradescope(own: Course, standings: list[Standing], entries: Entries, target: Path) -> bool:
    from autograder.lms import gradescope

    count = gradescope.write_precomputed(own, standings, entries, target)
    typer.echo(f"wrote {count} results into {target}; upload it as the assignment's autograder and rerun it for all")
    missing = [(s, why) for s in standings if (why := gradescope.why_left_out(s, entries))]
    _say((s.student, f"left out, {why}") for s, why in missing)
    return all(s.excused for s, _ in missing)


def _junit(standings: list[Standing], target: Path) -> bool:
    from autograder.lms import export as exported

    target.write_text(exported.junit(standings), encoding="utf-8")
    typer.echo(f"wrote {target}")
    return True


def _fill(
    to: str, gradebook: Path, target: Path, standings: list[Standing], entries: Entries, known: Roster, title: str
) -> bool:
    from autograder.lms import export as exported
    from autograder.reports.escape import terminal

    def who(standing: Standing) -> dict[str, str]:
        return exported.identities(standing, entries, known)

    text = exported.read_text(gradebook)
    filled = exported.canvas(text, standings, who, title) if to == "canvas" else exported.moodle(text, standings, who)
    target.write_text(filled.text, encoding="utf-8", newline="")
    typer.echo(f"filled {filled.matched} rows; wrote {target}")
    if filled.untouched:
        # A name may hold a comma: Canvas writes "Lovelace, Ada".
        names = "; ".join(map(terminal, filled.untouched))
        typer.echo(f"left {len(filled.untouched)} rows as they were, which no score here fits: {names}")
    _say((student, f"left out, {why}") for student, why in filled.unmatched)
    return not filled.unmatched


def _say(about: Iterable[tuple[str, str]]) -> None:
    """A line for each student whose score is not where it was asked for."""
    from autograder.reports.escape import terminal

    for student, why in about:
        typer.echo(f"{terminal(student)}: {why}", err=True)
