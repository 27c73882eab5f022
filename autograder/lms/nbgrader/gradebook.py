"""Records into nbgrader's database, with no notebook at all: for submissions that had none, or a course without any."""

from __future__ import annotations

import os
import sys
from datetime import UTC
from pathlib import Path

from autograder.course import Course
from autograder.lms.nbgrader import notebook
from autograder.policy import Standing


def write(course: Course, standings: list[Standing], database: str) -> int:
    """Write each standing's parts as automatic scores; what a person set by hand stays. How many were written."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    from nbgrader.api import Gradebook

    written = 0
    with Gradebook(database, course.id) as gradebook:
        for name in sorted({standing.assignment for standing in standings}):
            due = course.due.get(name)
            gradebook.update_or_create_assignment(name, duedate=due and due.astimezone(UTC).replace(tzinfo=None))
            gradebook.update_or_create_notebook(name, name)
            for part in course.assignment(name).parts:
                gradebook.update_or_create_grade_cell(
                    notebook.PART + part.name, name, name, max_score=part.points, cell_type="code"
                )
        for standing in standings:
            if standing.counted.grader_error:
                continue
            name, student = standing.assignment, standing.student
            gradebook.update_or_create_student(student)
            at = standing.submitted_at
            more = {"timestamp": at.astimezone(UTC).replace(tzinfo=None)} if at else {}
            gradebook.update_or_create_submission(name, student, **more)
            for result in standing.counted.parts:
                grade = gradebook.find_grade(notebook.PART + result.name, name, name, student)
                grade.auto_score = float(result.earned)
                grade.needs_manual_grade = grade.manual_score is not None
            own = gradebook.find_submission_notebook(name, name, student)
            own.late_submission_penalty = standing.penalty or None
            gradebook.db.commit()
            written += 1
    return written
