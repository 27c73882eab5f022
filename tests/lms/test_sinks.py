"""Where an LMS or a person at a terminal reads what a student wrote: the one list of payloads through every such place.

The encoders themselves are tested in test_report_escape.py; here it is that each place uses one.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_records as fake
import payloads
import pytest

from autograder.cli.grade import _show
from autograder.intake import Submission
from autograder.lms import ci, export, feedback
from autograder.policy import Standing
from autograder.reports import escape

FORMULA = ("=", "+", "-", "@", "|", "%", "\t", "\r", "＝", "＋", "－", "＠")
every_payload = pytest.mark.parametrize("text", payloads.ALL)


def hidden(text: str) -> list[str]:
    """The characters that nobody sees: control and format characters, surrogates, separators of lines."""
    return [c for c in text if not c.isprintable() or unicodedata.category(c) == "Cf"]


def is_formula(cell: str) -> bool:
    return cell.lstrip().startswith(FORMULA) and not re.fullmatch(r"[-+]?\d+(\.\d+)?", cell)


@every_payload
def test_feedback_in_plain_text_hides_nothing_and_no_text_begins_a_line_of_its_own(text: str) -> None:
    for record in fake.everywhere(text):
        for part in record.parts:
            said = feedback.plain(record, part, "counterexamples")
            assert hidden(said.replace("\n", "").replace("\t", "")) == []  # tabs are source code's
            lost = [test for test in record.tests if test.part == part.name]
            own = [line for line in said.splitlines() if line and not line.startswith("  ")]
            assert len(own) == 1 + (1 if record.problem else len(lost))


@every_payload
def test_the_result_for_github_classroom_is_json_whose_texts_are_one_line(text: str) -> None:
    for record in fake.everywhere(text):
        result = json.loads(base64.b64decode(ci.classroom(record), validate=True))
        assert (result["max_score"], len(result["tests"])) == (100, len(record.parts))
        for test in result["tests"]:
            assert [hidden(value) for value in test.values() if isinstance(value, str) if hidden(value)] == []
            assert len(test["output"]) <= ci.MAX_OUTPUT


class Gradebook(SimpleNamespace):
    """nbgrader's, as far as the export reads it: one student who handed in, and one who did not."""

    def find_submission(self, assignment: str, student: str) -> Any:
        if student == "nobody":
            raise self.missing
        return SimpleNamespace(late_submission_penalty=2.0, timestamp=None, score=7.0, needs_manual_grade=False)


@every_payload
def test_nbgraders_csv_has_one_cell_for_each_value_and_no_formula(text: str, tmp_path: Path) -> None:
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'llm-assignments[nbgrader]'")
    from nbgrader.api import MissingEntry

    from autograder.lms.nbgrader.export import COLUMNS, SafeCsv

    students = [SimpleNamespace(id=name, last_name=text, first_name=text, email=text) for name in (text, "nobody")]
    assignment = SimpleNamespace(name=text, duedate=None, max_score=100.0)
    SafeCsv(to=str(tmp_path / "grades.csv")).export(
        Gradebook(assignments=[assignment], students=students, missing=MissingEntry)
    )
    written = (tmp_path / "grades.csv").read_bytes().decode()
    header, *rows = csv.reader(io.StringIO(written, newline=""), strict=True)
    assert tuple(header) == COLUMNS
    assert [len(row) for row in rows] == [len(COLUMNS)] * 2
    assert [cell for row in rows for cell in row if hidden(cell) or is_formula(cell)] == []


WORKSHEET = "Identifier,Full name,Grade,Maximum Grade,Feedback comments\nParticipant 11,Ada,,100.00,\n"


@every_payload
def test_moodles_csv_holds_nothing_that_a_student_wrote(text: str) -> None:
    for record in fake.everywhere(text):
        standing = Standing(record.student, "attention", record, 1, 80, 100, 80.0)
        filled = export.moodle(WORKSHEET, [standing], lambda one: {"moodle_id": "11"})
        header, *rows = csv.reader(io.StringIO(filled.text, newline=""), strict=True)
        assert len(header) == 5
        assert rows == [["Participant 11", "Ada", "80", "100.00", ""]]


@every_payload
def test_a_comment_of_the_roster_stays_one_cell_of_moodles_csv(text: str) -> None:
    ada = Standing("ada", "attention", fake.record("ada"), 1, 80, 100, 80.0, comment=text)
    filled = export.moodle(WORKSHEET, [ada], lambda one: {"moodle_id": "11"})
    _, row = csv.reader(io.StringIO(filled.text, newline=""), strict=True)
    assert row[:4] == ["Participant 11", "Ada", "80", "100.00"]
    shown = escape.lines(text)  # its lines stay: Moodle shows them
    assert row[4] in (shown, f"'{shown}")
    assert hidden(re.sub(r"[\n\t]", "", row[4])) == []
    assert not is_formula(row[4])


@every_payload
def test_the_mapping_before_grading_is_one_line_for_each_submission(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Submission(text, b"", text, problem=text, identities={"name": text, "email": text})
    _show("toy", [one, one])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 3
    assert hidden(err.replace("\n", "")) == []
