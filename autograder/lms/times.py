"""Times of submission from a CSV file, for downloads of an LMS that says none: `student,submitted_at`."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path

import msgspec

from autograder.intake import Submission


class TimesError(Exception):
    """The file makes no sense, or does not fit the submissions. One line for a person."""

    exit_code = 2


def given(submissions: list[Submission], file: Path | None) -> list[Submission]:
    """The Submissions with the times of a CSV file that has the columns `student` and `submitted_at`.

    A student is named as in the records, or by any identity that the layout found, but for the name: students may
    choose that. Raises TimesError for a line that does not fit just one: a time that is lost without a word would be
    a wrong score.
    """
    if file is None:
        return submissions
    times = _times(file)
    whose: dict[str, str] = {}
    timed = []
    for submission in submissions:
        known = [submission.student, *(value for key, value in submission.identities.items() if key != "name")]
        named = [name for name in dict.fromkeys(known) if name in times]
        if len(named) > 1:
            raise TimesError(f"{file} has two lines for {submission.student}: {named[0]} and {named[1]}")
        for name in named:
            if whose.setdefault(name, submission.student) != submission.student:
                raise TimesError(f"{file}: {name} is {whose[name]} and {submission.student}; name them as --show does")
        at = times[named[0]] if named else submission.submitted_at
        timed.append(
            msgspec.structs.replace(
                submission, submitted_at=at, timed_by_hand=bool(named), late=submission.late and not named
            )
        )
    if lost := [name for name in times if name not in whose]:
        raise TimesError(f"{file} has a time of {lost[0]}, who handed in nothing")
    return timed


def _times(file: Path) -> dict[str, datetime]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TimesError(f"cannot read the times {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TimesError(f"the times {file} are not UTF-8: save them as CSV UTF-8") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    times: dict[str, datetime] = {}
    try:
        if not {"student", "submitted_at"} <= set(rows.fieldnames or ()):
            raise TimesError(f"{file}: its first line has to be student,submitted_at, with a comma between")
        for row in rows:
            where = f"{file}, line {rows.line_num}"
            if None in row or None in row.values():
                raise TimesError(f"{where}: as many cells are needed as the first line has")
            student = row["student"].strip()
            if not student:
                raise TimesError(f"{where}: the student is missing")
            if student in times:
                raise TimesError(f"{where}: a second line for {student}")
            times[student] = _moment(row["submitted_at"].strip(), where)
    except csv.Error as error:
        raise TimesError(f"{file}, line {rows.reader.line_num}: {error}") from None
    if not times:
        raise TimesError(f"{file} has no line beneath its first: write one for each student, or leave --times out")
    return times


def _moment(text: str, where: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise TimesError(f"{where}: submitted_at is no time such as 2026-02-28T23:59+01:00: {text!r}") from None
    if at.tzinfo is None:
        raise TimesError(f"{where}: submitted_at has no time zone: write {text}Z, or +01:00 and the like")
    return at
