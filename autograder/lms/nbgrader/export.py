"""`nbgrader export` as a CSV file in which a comma in a name stays in its cell and nothing is a formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import ExportPlugin

from autograder.reports.escape import csv_cell

COLUMNS = (
    "assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
    "late_submission_penalty", "score", "max_score", "needs_manual_grade",
)  # fmt: skip


class SafeCsv(ExportPlugin):  # type: ignore[misc]
    """nbgrader's own columns, quoted; and whether a person still has something to grade."""

    def export(self, gradebook: Gradebook) -> None:
        """Write the file that `--to` names."""
        rows = [COLUMNS, *self._rows(gradebook)]
        text = "".join(",".join(csv_cell("" if cell is None else str(cell)) for cell in row) + "\r\n" for row in rows)
        Path(self.to or "grades.csv").write_text(text, encoding="utf-8", newline="")

    def _rows(self, gradebook: Gradebook) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for assignment in gradebook.assignments:
            for student in gradebook.students:
                if (self.assignment and assignment.name not in self.assignment) or (
                    self.student and student.id not in map(str, self.student)
                ):
                    continue
                person = (student.id, student.last_name, student.first_name, student.email)
                try:
                    own = gradebook.find_submission(assignment.name, student.id)
                except MissingEntry:
                    rows.append((assignment.name, assignment.duedate, "", *person, 0, 0, 0, assignment.max_score, ""))
                    continue
                penalty = own.late_submission_penalty or 0
                rows.append(
                    (assignment.name, assignment.duedate, own.timestamp, *person, own.score, penalty,
                     max(0.0, own.score - penalty), assignment.max_score, own.needs_manual_grade)
                )  # fmt: skip
        return rows
