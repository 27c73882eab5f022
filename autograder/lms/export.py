"""Scores in the instructor's own files: Canvas's and Moodle's grade books, JUnit, results for Gradescope, nbgrader.

A file of an LMS is filled in, never made: the instructor exports it, one column is filled, everything that matches a
student is left as it was. A student is matched by identity only: by the numbers and logins that the submission or the
roster gives, each of which must fit exactly one row. Names are not identities; nothing is guessed.
"""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from autograder.ledger import Entry
from autograder.policy import Standing
from autograder.reports.escape import lines, no_formula
from autograder.roster import Roster

EXCUSED = "EX"
Rows = list[list[str]]


class ExportError(Exception):
    """The file cannot be filled in or written. One line for a person: which file, what is missing, what to do."""

    exit_code = 2


class Filled(msgspec.Struct, frozen=True):
    """A filled-in file, the standings that fit no row, each with the reason, and whose rows stayed as they were."""

    text: str
    matched: int
    unmatched: list[tuple[str, str]]
    untouched: list[str]  # as the file itself calls them


def identities(standing: Standing, ledger: dict[tuple[str, str], list[Entry]], roster: Roster) -> dict[str, str]:
    """What other systems call this student: by the roster, which a person wrote, else by the submission."""
    known: dict[str, str] = {}
    for entry in ledger.get((standing.assignment, standing.student), []):
        known |= entry.identities
    return known | roster.identities.get(standing.student, {})


def reason(standing: Standing) -> str:
    """What policy and the instructor did to a score, and what the instructor says to it; "" where that is nothing."""
    return ", ".join(filter(None, (standing.in_words(), standing.comment)))


def before_and_after(standing: Standing) -> str:
    """The score before and after policy, and why they differ; "" where nothing was done, or nobody could grade it."""
    changed = standing.final != standing.raw or standing.overridden
    if not standing.excused and (standing.final is None or not changed):
        return ""
    after = "no score" if standing.final is None else f"{standing.final:g}"
    return f"{standing.raw} -> {after} ({reason(standing)})"


def canvas(gradebook: str, standings: list[Standing], who: Callable[[Standing], dict[str, str]], title: str) -> Filled:
    """Canvas's gradebook export with one column filled: the header's identities, its totals row, that column.

    `title` is the assignment's as in the header, with or without its "(id)". Columns that are left out stay as they
    are when the file is imported. https://community.canvaslms.com/t5/Instructor-Guide/ describes the format.
    """
    rows, delimiter = _table(gradebook, "Canvas's gradebook export")
    header = rows[0]
    if [cell.lower() for cell in header[:2]] != ["student", "id"] or "Section" not in header:
        raise ExportError("this is no gradebook export of Canvas: its first columns are Student and ID, then a Section")
    first = header.index("Section") + 1
    column = _column(header, title, first)
    _finite_width(rows)
    places = [(name, header.index(label)) for name, label in _CANVAS if label in header[:first]]
    students = [n for n, row in enumerate(rows) if n and "Points Possible" not in row[0] and row[1].strip()]
    filled = _fill(rows, students, standings, who, places, column, called=0, excused=EXCUSED)
    keep = [*range(first), column]
    return Filled(_csv([[row[n] for n in keep] for row in rows], delimiter), *filled)


_CANVAS = (("canvas_id", "ID"), ("sis_id", "SIS User ID"), ("login", "SIS Login ID"))
_MOODLE = (("moodle_id", "Identifier"), ("sis_id", "ID number"), ("email", "Email address"))


def moodle(gradebook: str, standings: list[Standing], who: Callable[[Standing], dict[str, str]]) -> Filled:
    """Moodle's grading worksheet with Grade and, where it has the column, Feedback comments filled."""
    rows, delimiter = _table(gradebook, "Moodle's grading worksheet")
    header = rows[0]
    if "Identifier" not in header or "Grade" not in header:
        raise ExportError("this is no grading worksheet of Moodle: it has the columns Identifier and Grade")
    _finite_width(rows)
    places = [(name, header.index(label)) for name, label in _MOODLE if label in header]
    identifier, column = header.index("Identifier"), header.index("Grade")
    for row in rows[1:]:
        row[identifier] = row[identifier].strip()
    if "Maximum Grade" in header:
        limit = header.index("Maximum Grade")
        for standing in standings:
            too_small = [row[limit] for row in rows[1:] if _number(row[limit]) < (standing.final or 0)]
            if too_small:
                raise ExportError(
                    f"{standing.student} has {standing.final:g} points and Moodle's maximum is {too_small[0]}: set the "
                    f"assignment's maximum grade to {standing.points}"
                )
    comments = header.index("Feedback comments") if "Feedback comments" in header else None
    students = list(range(1, len(rows)))
    called = header.index("Full name") if "Full name" in header else identifier
    filled = _fill(rows, students, standings, who, places, column, called=called, excused="", comments=comments)
    return Filled(_csv(rows, delimiter), *filled)


def _fill(
    rows: Rows, students: list[int], standings: list[Standing], who: Callable[[Standing], dict[str, str]],
    places: list[tuple[str, int]], column: int, *, called: int, excused: str, comments: int | None = None,
) -> tuple[int, list[tuple[str, str]], list[str]]:  # fmt: skip
    found = [(standing, *_match(rows, students, who(standing), places, standing.student)) for standing in standings]
    fitting: dict[int | None, list[str]] = {}
    for standing, row, _ in found:
        fitting.setdefault(row, []).append(standing.student)
    filled, unmatched = set(), []
    for standing, row, why in found:
        others = [student for student in fitting[row] if student != standing.student]
        if standing.final is None and not standing.excused:
            unmatched.append((standing.student, f"has no score: {standing.question}"))
        elif row is None:
            unmatched.append((standing.student, why))
        elif others:  # whose row it is, nobody can tell: a student may have claimed another's by the name of a file
            unmatched.append((standing.student, f"fits the same row as {' and '.join(others)}"))
        else:
            filled.add(row)
            rows[row][column] = excused if standing.excused else f"{standing.final:.2f}".rstrip("0").rstrip(".")
            if comments is not None and reason(standing):  # else what the instructor wrote there stays
                rows[row][comments] = no_formula(lines(reason(standing)))
    return len(filled), unmatched, [rows[n][called].strip() for n in students if n not in filled]


def _match(
    rows: Rows, students: list[int], known: dict[str, str], places: list[tuple[str, int]], student: str
) -> tuple[int | None, str]:
    """The row of the first identity that fits one, in the order of `places`; a student's name in the records counts
    for each of them."""
    for name, place in places:
        wanted = {known[name]} if name in known else {student}
        fitting = [n for n in students if _identity(rows[n][place]) in {_identity(w) for w in wanted}]
        if len(fitting) == 1:
            return fitting[0], ""
        if fitting:
            return None, f"fits {len(fitting)} rows by {name}"
    return None, f"fits no row by {' or '.join(name for name, _ in places)}"


def _identity(cell: str) -> str:
    return cell.strip().removeprefix("Participant ").casefold()


def _column(header: list[str], title: str, first: int) -> int:
    wanted = [n for n in range(first, len(header)) if header[n].strip() == title.strip()] or [
        n for n in range(first, len(header)) if re.sub(r" \(\d+\)$", "", header[n].strip()) == title.strip()
    ]
    if len(wanted) != 1:
        have = ", ".join(repr(cell) for cell in header[first:] if re.search(r" \(\d+\)$", cell)) or "none"
        raise ExportError(f"{len(wanted)} columns are called {title!r}; name one with --column: {have}")
    return wanted[0]


def _table(text: str, what: str) -> tuple[Rows, str]:
    first = text.split("\n", 1)[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ExportError(f"this is not {what}: {error}") from None
    rows = [row for row in rows if row]
    if not rows:
        raise ExportError(f"this is not {what}: it is empty")
    return rows, delimiter


def _finite_width(rows: Rows) -> None:
    for row in rows:
        row += [""] * (len(rows[0]) - len(row))


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("inf")


def _csv(rows: Rows, delimiter: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def junit(standings: Iterable[Standing]) -> str:
    """JUnit's XML: a suite a submission, a case a test, with points as properties. It knows no partial score."""
    root = ElementTree.Element("testsuites")
    for standing in standings:
        record = standing.counted
        suite = ElementTree.SubElement(
            root, "testsuite", name=lines(f"{record.assignment}: {record.student}"),
            time=f"{record.seconds:.3f}", hostname="localhost",
        )  # fmt: skip
        if record.graded_at:
            suite.set("timestamp", record.graded_at)
        counts = {"failures": 0, "errors": 0, "skipped": 0}
        points = ElementTree.SubElement(suite, "properties")
        values = {
            "score": record.score, "points": record.max_score, "final": standing.final, "level": record.level,
            "policy": standing.in_words(),
        }  # fmt: skip
        for name, value in values.items():
            if value not in (None, ""):
                ElementTree.SubElement(points, "property", name=name, value=lines(str(value)))
        cases = 0
        if record.problem or record.grader_error:
            case = ElementTree.SubElement(suite, "testcase", classname=record.assignment, name="submission", time="0")
            kind = "error" if record.grader_error else "failure"
            counts["errors" if record.grader_error else "failures"] += 1
            ElementTree.SubElement(case, kind, message=lines(record.problem or record.grader_error), type=kind)
            cases += 1
        for test in record.tests:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=f"{record.assignment}.{test.part}",
                name=test.test,
                time=f"{test.seconds:.3f}",
            )
            properties = ElementTree.SubElement(case, "properties")
            ElementTree.SubElement(properties, "property", name="points", value=str(test.points))
            ElementTree.SubElement(properties, "property", name="earned", value=str(test.earned))
            cases += 1
            if test.status == "passed":
                continue
            kind = {"skipped": "skipped", "error": "error"}.get(test.status, "failure")
            counts[{"skipped": "skipped", "error": "errors"}.get(test.status, "failures")] += 1
            text = "\n".join([test.sentence, *test.calls, test.returned and f"returned: {test.returned}",
                              test.expected and f"expected: {test.expected}", test.hint])  # fmt: skip
            fault = ElementTree.SubElement(case, kind, message=lines(test.reason))
            if kind != "skipped":
                fault.set("type", test.status)
            fault.text = lines(text.strip())
        suite.set("tests", str(cases))
        for name, count in counts.items():
            suite.set(name, str(count))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def read_text(path: Path) -> str:
    """An instructor's file, which may begin with a byte order mark and have any line ends."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ExportError(f"{path} is not UTF-8: save it as CSV UTF-8") from None


def write(target: Path, data: bytes) -> None:
    """Write the file that was asked for. Raises ExportError where that cannot be."""
    try:
        target.write_bytes(data)
    except OSError as error:
        raise ExportError(f"cannot write {target}: {error.strerror}; name another file") from None
