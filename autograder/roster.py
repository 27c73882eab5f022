"""What the instructor knows of students and the LMS does not: extensions, excuses, corrections by hand, other names.

One CSV file, kept by a person and never written by a command, so that nothing that is graded again can lose a line of
it. Columns, in any order, all but the first optional:

    student     as in the records
    assignment  the row holds for this one; empty: for all of them
    due         another due date for this student, ISO 8601 with a time zone
    excused     yes: no score counts
    score       replaces the score, whatever the grader and the policy say, or stands where nothing was handed in
    comment     shown with the score
    name, email, canvas_id, sis_id, login, moodle_id    what other systems call this student
"""

from __future__ import annotations

import csv
import io
import math
from datetime import datetime
from pathlib import Path

import msgspec

from autograder.course import Course, CourseError

IDENTITIES = ("name", "email", "canvas_id", "sis_id", "login", "moodle_id")
COLUMNS = ("student", "assignment", "due", "excused", "score", "comment", *IDENTITIES)
YES, NO = ("yes", "true", "1", "x"), ("", "no", "false", "0")


class RosterError(Exception):
    """The roster cannot be used. One line for a person: the file, the line, what to write instead."""

    exit_code = 2


class Rule(msgspec.Struct, frozen=True):
    """What the roster says of one student's assignment."""

    due: datetime | None = None
    excused: bool = False
    score: float | None = None
    comment: str = ""


class Roster(msgspec.Struct, frozen=True):
    """The file, read. `rules` is keyed by student and assignment, "" for all assignments."""

    rules: dict[tuple[str, str], Rule] = {}
    identities: dict[str, dict[str, str]] = {}

    @property
    def students(self) -> list[str]:
        return sorted({student for student, _ in self.rules} | set(self.identities))

    def rule(self, student: str, assignment: str) -> Rule:
        """The rules for all assignments and for this one together; the latter goes first."""
        general = self.rules.get((student, ""), Rule())
        own = self.rules.get((student, assignment), Rule())
        return Rule(
            own.due or general.due,
            own.excused or general.excused,
            general.score if own.score is None else own.score,
            own.comment or general.comment,
        )

    def lines_of_nobody(self, known: set[tuple[str, str]]) -> list[tuple[str, str]]:
        """Student and assignment of each line that decides something and fits none of `known`, which are such pairs."""
        students = {student for student, _ in known}
        return [
            (student, name)
            for (student, name), rule in self.rules.items()
            if rule != Rule() and ((student, name) not in known if name else student not in students)
        ]


def read(path: Path | None, course: Course | None = None) -> Roster:
    """The roster in a CSV file; an empty one where there is no path. Raises RosterError where it makes no sense: with
    a course, also where a line is for an assignment that the course does not have."""
    if path is None:
        return Roster()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RosterError(f"cannot read the roster {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RosterError(f"the roster {path} is not UTF-8: save it as CSV UTF-8") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rules: dict[tuple[str, str], Rule] = {}
    identities: dict[str, dict[str, str]] = {}
    try:
        columns = list(rows.fieldnames or ())
        unknown = sorted(set(columns) - set(COLUMNS))
        if len(columns) == 1 and ";" in columns[0]:
            raise RosterError(f"{path} has its cells separated by semicolons: separate them by commas")
        if doubled := [name for name in columns if columns.count(name) > 1]:
            raise RosterError(f"{path} has two columns {doubled[0]!r}: leave one")
        if "student" not in columns or unknown:
            what = f"has no column {unknown[0]!r} to know" if unknown else "has no column student"
            raise RosterError(f"{path} {what}; its columns may be: {', '.join(COLUMNS)}")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if None in row or None in row.values():
                raise RosterError(f"{where}: as many cells are needed as the first line has")
            cells = {name: cell.strip() for name, cell in row.items()}
            key = (cells["student"], cells.get("assignment", ""))
            if not key[0]:
                raise RosterError(f"{where}: the student is missing")
            if key in rules:
                raise RosterError(f"{where}: a second line for {key[0]} and {key[1] or 'all assignments'}")
            if course and key[1]:
                try:
                    course.assignment(key[1])
                except CourseError as error:
                    raise RosterError(f"{where}: {error}") from None
            rules[key] = _rule(cells, where)
            known = identities.setdefault(key[0], {})
            for name in IDENTITIES:
                if cells.get(name) and known.setdefault(name, cells[name]) != cells[name]:
                    raise RosterError(f"{where}: {key[0]} has two values of {name}")
    except csv.Error as error:
        raise RosterError(f"{path}, line {rows.line_num}: {error}") from None
    return Roster(rules, identities)


def _rule(cells: dict[str, str], where: str) -> Rule:
    due = score = None
    if cells.get("due"):
        try:
            due = datetime.fromisoformat(cells["due"])
        except ValueError:
            raise RosterError(f"{where}: due is no date such as 2026-02-01T23:59+01:00: {cells['due']!r}") from None
        if due.tzinfo is None:
            raise RosterError(f"{where}: due has no time zone: write {cells['due']}Z, or +01:00 and the like")
    if cells.get("score"):
        try:
            score = float(cells["score"])
        except ValueError:
            score = math.nan
        if not 0 <= score < math.inf:
            raise RosterError(f"{where}: score is no number from 0 up: {cells['score']!r}")
    excused = cells.get("excused", "").lower()
    if excused not in (*YES, *NO):
        raise RosterError(f"{where}: excused is yes or empty, not {cells['excused']!r}")
    return Rule(due, excused in YES, score, cells.get("comment", ""))
