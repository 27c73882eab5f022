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
    such as a student who fits no row, or is not there yet: they are named, nothing is guessed.
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
    target = _target(to, out, gradebook)
    if target.resolve() in [path.resolve() for path in (gradebook, roster) if path]:
        raise choices.UsageError(f"{target} is read here and stays as it is: name another file with --out")
    own, entries = choices.course(course), ledger.read_all(records)
    known = rosters.read(roster, own)
    found = list(read_all(records))
    uncontained = sorted({record.level for record in found} - set(choices.CONTAINED))
    if uncontained:
        raise choices.UsageError(f"some records were made at level {uncontained[0]}, where a submission can forge them")
    names = sorted({record.assignment for record in found} | {name for name, _ in entries})
    if assignment is None and len(names) > 1 and to in ("canvas", "moodle", "gradescope"):
        raise choices.UsageError(f"name one with --assignment: {', '.join(names)}")
    wanted = names if assignment is None else [own.assignment(assignment).name]
    # The bank of late days is the whole course's, so standings are taken before some are left out.
    everybody = policy.standings(own, found, entries, known)
    standings = [s for s in everybody if s.assignment in wanted]
    if not standings:
        raise choices.UsageError(f"{records} has no record of {assignment}")
    _notices(standings)
    handed_in = {(s.student, s.assignment) for s in everybody} | {(student, name) for name, student in entries}
    missing = _ungraded([one for one in policy.ungraded(found, entries) if one[0] in wanted], standings)
    missing += [
        (student, f"handed in nothing for {name or 'any assignment'}, and has a line in the roster")
        for student, name in known.lines_of_nobody(handed_in)
        if not name or name in wanted
    ]
    _say(missing)
    if to == "nbgrader":
        complete = _nbgrader(own, standings, db)
    elif to == "gradescope":
        complete = _gradescope(own, standings, entries, target)
    elif to == "junit":
        complete = _junit(standings, target)
    else:
        assert gradebook is not None
        complete = _fill(to, gradebook, target, standings, entries, known, column or own.assignment(wanted[0]).title)
    for standing in standings:
        changed = exported.before_and_after(standing)
        if changed:
            typer.echo(f"{terminal(standing.student)} in {standing.assignment}: {terminal(changed)}")
    raise typer.Exit(0 if complete and not missing else 1)


def _target(to: str, out: Path | None, gradebook: Path | None) -> Path:
    """The file to write, where one is written."""
    if out:
        return out
    if to in ("canvas", "moodle") and gradebook:
        return gradebook.parent / f"{gradebook.stem}-filled.csv"
    return Path("autograder.zip" if to == "gradescope" else "junit.xml")


def _notices(standings: list[Standing]) -> None:
    """What a person must look at, or may not have meant, in scores that are exported all the same."""
    from autograder.reports.escape import terminal

    for standing in standings:
        student = terminal(standing.student)
        if standing.question:
            typer.echo(f"look at {student}: {terminal(standing.question)}", err=True)
        if standing.counted.problem and standing.final is not None and not standing.overridden:
            typer.echo(f"{student}: 0 points, nothing could be graded: {terminal(standing.counted.problem)}", err=True)
        if standing.overridden and standing.final is not None and standing.final > standing.points:
            typer.echo(f"{student}: set by hand to {standing.final:g} of {standing.points} points", err=True)


def _ungraded(newest: list[tuple[str, str, int]], standings: list[Standing]) -> list[tuple[str, str]]:
    """The students whose newest attempt has no record, unless the roster has decided already."""
    decided = {(s.assignment, s.student) for s in standings if s.overridden or s.excused}
    return [
        (student, f"attempt {number} of {name} is not graded yet; run `autograder grade` again")
        for name, student, number in newest
        if (name, student) not in decided
    ]


def _nbgrader(own: Course, standings: list[Standing], db: str) -> bool:
    from autograder.lms.nbgrader import gradebook

    written = gradebook.write(own, standings, db)
    typer.echo(f"wrote {written.count} submissions to {db}")
    _say((s.student, "left out, excused: a score of theirs that nbgrader has stays") for s in written.excused)
    _say((s.student, why) for s, why in written.unlike)
    return not written.unlike


def _gradescope(own: Course, standings: list[Standing], entries: Entries, target: Path) -> bool:
    from autograder.lms import gradescope

    count, left_out = gradescope.write_precomputed(own, standings, entries, target)
    typer.echo(f"wrote {count} results into {target}; upload it as the assignment's autograder and rerun it for all")
    _say((s.student, f"left out, {why}") for s, why in left_out)
    return all(s.excused for s, _ in left_out)


def _junit(standings: list[Standing], target: Path) -> bool:
    from autograder.lms import export as exported

    exported.write(target, exported.junit(standings).encode())
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
    exported.write(target, filled.text.encode())
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
        typer.echo(f"{terminal(student)}: {terminal(why)}", err=True)
