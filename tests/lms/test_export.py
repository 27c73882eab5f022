"""Exports: one column of the instructor's own file is filled, by identity alone, and everything else stays."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from typing import Any

import fake_records as fake
import payloads
import pytest

from autograder.ledger import Entry
from autograder.lms import export
from autograder.policy import Standing
from autograder.roster import Roster

CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Homework 1 (101),Attention (102),Current Score\r\n"
    "    Points Possible,,,,,10,100,(read only)\r\n"
    '"Lovelace, Ada",11,s-11,ada,Main,9,,90\r\n'
    '"Boole, George",12,s-12,george,Main,8,-,80\r\n'
    "=cmd(),13,s-13,eve,Main,7,55,70\r\n"
    '"Student, Test",,,,Main,,,\r\n'
)
MOODLE = (
    "Identifier,Full name,ID number,Email address,Grade,Maximum Grade,Last modified (submission),Feedback comments\n"
    "Participant 11,Ada,,ada@x.org,,100.00,-,\n"
    "Participant 12,George,,george@x.org,,100.00,-,old\n"
)


def standing(student: str, final: float | None = 80.5, **more: Any) -> Standing:
    record = fake.record(student, score=80)
    values: dict[str, Any] = {
        "student": student, "assignment": "attention", "counted": record, "attempts": 1, "raw": 80, "points": 100,
        "final": final,
    }  # fmt: skip
    return Standing(**(values | more))


def rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def known(**identities: dict[str, str]) -> Any:
    return lambda own: identities.get(own.student, {})


def canvas(*standings: Standing, who: Any = None, text: str = CANVAS, title: str = "Attention") -> export.Filled:
    return export.canvas(text, list(standings), who or known(), title)


# --- Canvas


def test_canvas_gets_its_header_its_totals_and_one_column() -> None:
    found = rows(canvas(standing("11")).text)
    assert found[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Attention (102)"]
    assert found[1] == ["    Points Possible", "", "", "", "", "100"]
    assert [row[-1] for row in found[2:]] == ["80.5", "-", "55", ""]


@pytest.mark.parametrize(("student", "row"), [("11", 2), ("s-12", 3), ("EVE", 4)])
def test_canvas_matches_by_id_then_sis_id_then_login(student: str, row: int) -> None:
    filled = canvas(standing(student))
    assert filled.matched == 1
    assert rows(filled.text)[row][-1] == "80.5"


def test_what_the_submission_or_the_roster_says_goes_before_the_name_in_the_records() -> None:
    filled = canvas(standing("11"), who=known(**{"11": {"canvas_id": "12"}}))
    assert [row[-1] for row in rows(filled.text)[2:4]] == ["", "80.5"]


@pytest.mark.parametrize("student", ["Lovelace, Ada", "Ada Lovelace", "nobody", "Student, Test", "", "1"])
def test_nobody_is_matched_by_a_name_or_by_a_part_of_an_id(student: str) -> None:
    filled = canvas(standing(student))
    assert filled.matched == 0
    assert [name for name, _ in filled.unmatched] == [student]


def test_rows_that_no_score_fits_are_named() -> None:
    assert canvas(standing("11")).untouched == ["Boole, George", "=cmd()"]
    assert canvas(standing("nobody")).untouched == ["Lovelace, Ada", "Boole, George", "=cmd()"]


def test_an_identity_that_fits_two_rows_fits_none() -> None:
    filled = canvas(standing("ada"), text=CANVAS.replace("george", "ada"))
    assert filled.unmatched == [("ada", "fits 2 rows by login")]


def test_two_students_never_fill_the_same_row() -> None:
    filled = canvas(standing("11"), standing("ada", 5), standing("12"))
    assert [row[-1] for row in rows(filled.text)[2:4]] == ["", "80.5"]
    assert filled.unmatched == [("11", "fits the same row as ada"), ("ada", "fits the same row as 11")]
    assert "Lovelace, Ada" in filled.untouched


def test_a_row_whose_own_student_has_no_score_is_filled_by_no_other() -> None:
    filled = canvas(standing("11", None, question="the grader failed"), standing("ada", 5))
    assert rows(filled.text)[2][-1] == ""
    assert filled.unmatched == [("11", "has no score: the grader failed"), ("ada", "fits the same row as 11")]


def test_an_excused_student_is_excused_and_one_without_a_score_is_left_out() -> None:
    filled = canvas(standing("11", None, excused=True), standing("12", None, question="the grader failed"))
    assert [row[-1] for row in rows(filled.text)[2:4]] == ["EX", "-"]
    assert filled.unmatched == [("12", "has no score: the grader failed")]


def test_cells_of_the_instructors_own_file_stay_as_they_are() -> None:
    assert rows(canvas(standing("11")).text)[4][0] == "=cmd()"


def test_semicolons_stay_semicolons() -> None:
    text = CANVAS.replace('"Lovelace, Ada"', "Ada").replace('"Boole, George"', "B").replace('"Student, Test"', "T")
    filled = canvas(standing("11"), text=text.replace(",", ";"))
    assert rows(filled.text, ";")[2][-1] == "80.5"


@pytest.mark.parametrize(
    ("text", "title", "said"),
    [
        (CANVAS, "Attention please", "0 columns.*'Attention \\(102\\)'"),
        (CANVAS.replace("Homework 1 (101)", "Attention (101)"), "Attention", "2 columns"),
        (MOODLE, "Attention", "no gradebook export"),
        ("", "Attention", "empty"),
        ('"a', "Attention", "not Canvas"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_that_says_what_to_do(text: str, title: str, said: str) -> None:
    with pytest.raises(export.ExportError, match=said):
        canvas(standing("11"), text=text, title=title)


# --- Moodle


def test_moodle_gets_grades_and_says_what_the_policy_did() -> None:
    who = known(x={"moodle_id": "11"})
    late = standing("x", 72, penalty=8.0, days_late=1)
    filled = export.moodle(MOODLE, [late, standing("george@x.org")], who)
    found = rows(filled.text)
    assert found[1][4] == "72"
    assert found[1][7] == "1 day late, 8 points taken off for lateness"
    assert found[2][4] == "80.5"
    assert filled.unmatched == []


def test_a_comment_of_the_instructors_stays_where_there_is_none_to_write() -> None:
    found = rows(export.moodle(MOODLE, [standing("12")], known()).text)
    assert (found[2][4], found[2][7]) == ("80.5", "old")


def test_a_comment_is_no_formula() -> None:
    filled = export.moodle(MOODLE, [standing("11", comment="=1+1")], known())
    assert rows(filled.text)[1][7] == "'=1+1"


def test_a_maximum_that_is_too_small_is_an_error_and_not_a_cut_score() -> None:
    with pytest.raises(export.ExportError, match="maximum grade to 100"):
        export.moodle(MOODLE.replace("100.00", "10.00"), [standing("11")], known())


def test_moodles_rows_are_named_by_their_full_name_or_where_there_is_none_by_their_number() -> None:
    assert export.moodle(MOODLE, [standing("11")], known()).untouched == ["George"]
    nameless = MOODLE.replace("Full name", "Group")
    assert export.moodle(nameless, [standing("11")], known()).untouched == ["Participant 12"]


# --- before and after policy


@pytest.mark.parametrize(
    ("final", "more", "said"),
    [
        (80, {}, ""),
        (80, {"comment": "well done"}, ""),
        (80, {"days_late": 1, "late_days_used": 1}, ""),
        (None, {"question": "the grader could not do its work"}, ""),
        (72, {"days_late": 1, "penalty": 8.0}, "80 -> 72 (1 day late, 8 points taken off for lateness)"),
        (91.5, {"overridden": True, "comment": "seen in person"}, "80 -> 91.5 (set by hand to 91.5, seen in person)"),
        (80, {"overridden": True}, "80 -> 80 (set by hand to 80)"),
        (None, {"excused": True, "comment": "ill"}, "80 -> no score (excused, ill)"),
    ],
)
def test_a_score_that_policy_changed_is_told_before_and_after(
    final: float | None, more: dict[str, Any], said: str
) -> None:
    assert export.before_and_after(standing("ada", final, **more)) == said


# --- who is who


def test_the_roster_goes_before_what_the_submission_says() -> None:
    entry = Entry("ada", 1, "d", "", identities={"canvas_id": "11", "email": "a"}, submitted_at=datetime.now(UTC))
    roster = Roster(identities={"ada": {"canvas_id": "12"}})
    assert export.identities(standing("ada"), {("attention", "ada"): [entry]}, roster) == {
        "canvas_id": "12", "email": "a"
    }  # fmt: skip


# --- JUnit


def test_junit_counts_and_gives_points_as_properties() -> None:
    tests = [fake.passed("softmax"), fake.failed("heads"), fake.failed("causal_mask", status="skipped")]
    record = fake.record("ada", tests=tests)
    root = ElementTree.fromstring(export.junit([standing("ada", counted=record)]))
    suite = root[0]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    earned = [p.get("value") for p in suite.iter("property") if p.get("name") == "earned"]
    assert sorted(earned) == ["0", "0", "4"]  # type: ignore[type-var]


def test_junit_has_the_score_before_and_after_policy() -> None:
    late = standing("ada", 72, penalty=8.0, days_late=1)
    (suite,) = ElementTree.fromstring(export.junit([late]))
    own = {p.get("name"): p.get("value") for p in suite.findall("./properties/property")}
    assert own == {
        "score": "80", "points": "100", "final": "72", "level": "full",
        "policy": "1 day late, 8 points taken off for lateness",
    }  # fmt: skip


@pytest.mark.parametrize("text", payloads.ALL)
def test_junit_stays_whole_whatever_a_submission_says(text: str) -> None:
    records = fake.everywhere(text)
    xml = export.junit([standing(r.student, counted=r) for r in records])
    suites = ElementTree.fromstring(xml)
    assert len(suites) == len(records)
    assert {child.tag for child in suites.iter()} <= {
        "testsuites", "testsuite", "testcase", "properties", "property", "failure", "error", "skipped"
    }  # fmt: skip
