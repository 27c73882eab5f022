"""Records into nbgrader's database, with no notebook at all: for submissions that had none, or a course without any."""

from __future__ import annotations

import os
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec

from autograder.course import Course
from autograder.lms.export import ExportError
from autograder.lms.nbgrader import notebook
from autograder.policy import Standing


class Written(msgspec.Struct, frozen=True):
    """How many submissions the database took, and the standings that it cannot show as they are."""

    count: int
    excused: list[Standing]  # left out: nbgrader knows only scores
    unlike: list[tuple[Standing, str]]  # with what differs


def write(course: Course, standings: list[Standing], database: str) -> Written:
    """Write each standing's parts as automatic scores; what a person set by hand in nbgrader stays.

    nbgrader's score is the sum of its cells, so a total by hand has no place there. Its extra credit belongs to a cell
    and is what a person enters in formgrader: a difference put there would overwrite theirs, or add to a score that
    they have corrected already. So the parts are written as graded, and a total that differs is named.
    Raises ExportError where the database cannot be used.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with Gradebook(database, course.id) as gradebook:
            return _write(course, standings, gradebook)
    except (SQLAlchemyError, ModuleNotFoundError) as error:  # the latter: a driver of the database's
        why = str(error).splitlines()[0]
        raise ExportError(f"nbgrader's database cannot be used ({why}); --db is like sqlite:///gradebook.db") from None


def _write(course: Course, standings: list[Standing], gradebook: Any) -> Written:
    written, excused, unlike = 0, [], []
    for name in sorted({standing.assignment for standing in standings}):
        due = course.due.get(name)
        gradebook.update_or_create_assignment(name, duedate=due and due.astimezone(UTC).replace(tzinfo=None))
        gradebook.update_or_create_notebook(name, name)
        for part in course.assignment(name).parts:
            gradebook.update_or_create_grade_cell(
                notebook.PART + part.name, name, name, max_score=part.points, cell_type="code"
            )
    for standing in standings:
        if standing.excused:
            excused.append(standing)
            continue
        if standing.final is None or standing.counted.grader_error or not standing.attempts:
            by_hand = standing.overridden and f"is set by hand to {standing.final:g} and has no parts to write"
            unlike.append((standing, by_hand or f"has no score: {standing.question}"))
            continue
        name, student = standing.assignment, standing.student
        gradebook.update_or_create_student(student)
        at = standing.submitted_at
        more = {"timestamp": at.astimezone(UTC).replace(tzinfo=None)} if at else {}
        gradebook.update_or_create_submission(name, student, **more)
        grades = []
        for result in standing.counted.parts:
            grade = gradebook.find_grade(notebook.PART + result.name, name, name, student)
            grades.append(grade)
            grade.auto_score = float(result.earned)
            grade.needs_manual_grade = grade.manual_score is not None
        own = gradebook.find_submission_notebook(name, name, student)
        own.late_submission_penalty = standing.penalty or None
        gradebook.db.commit()
        written += 1
        shown = round(max(0.0, sum(grade.score for grade in grades) - standing.penalty), 2)
        if standing.overridden and shown != standing.final:
            why = f"is set by hand to {standing.final:g}; nbgrader has {shown:g}: correct a part's score there"
            unlike.append((standing, why))
    return Written(written, excused, unlike)
