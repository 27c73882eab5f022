"""`autograder export`, run as a command: what the instructor decided reaches each format, or is named where it cannot.

Four students: one whose score is set by hand, one who is a day late and has a comment, one who is excused, one of whom
the roster knows nothing. Their records are made up, so that nothing has to be graded.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import fake_records as fake
import msgspec
import pytest
from toyclass import copied, toy

from autograder import cli, records
from autograder.course import FeedbackPolicy
from autograder.intake import Submission
from autograder.ledger import Ledger
from autograder.lms import gradescope

POLICY = """assignments = ["toy"]
[due]
toy = 2026-03-01T12:00:00Z
[policy]
percent_per_day = 10
"""
TITLE = "Three small exercises"
EARNED = {"moving_average": 40, "runs": 30, "tape": 0}
ROSTER = """student,score,excused,comment,canvas_id,moodle_id
ada,95,,seen in person,11,21
bob,,,well explained,12,22
eve,,yes,ill,13,23
kim,,,,14,24
"""
CANVAS = (
    f"Student,ID,SIS User ID,SIS Login ID,Section,{TITLE} (101)\r\n    Points Possible,,,,,100\r\n"
    '"Lovelace, Ada",11,,,Main,\r\nBob,12,,,Main,\r\nEve,13,,,Main,\r\nKim,14,,,Main,\r\n'
    '"\x1b[2JZoe, Z",15,,,Main,3\r\n'
)
MOODLE = "Identifier,Full name,Grade,Maximum Grade,Feedback comments\n" + "".join(
    f"Participant {number},{name},,100,\n" for number, name in ((21, "Ada"), (22, "Bob"), (23, "Eve"), (24, "Kim"))
)
BEFORE_AND_AFTER = [
    "ada in toy: 70 -> 95 (set by hand to 95, seen in person)",
    "bob in toy: 70 -> 63 (1 day late, 7 points taken off for lateness, well explained)",
    "eve in toy: 70 -> no score (excused, ill)",
]


def record(student: str, **changes: Any) -> records.Record:
    """A record of the toy course: two of three parts are right."""
    parts = tuple(records.PartResult(p.name, p.title, p.points, EARNED[p.name], "passed") for p in toy().parts)
    made = fake.record(student, tests=[fake.passed("runs")])
    return msgspec.structs.replace(
        made, course="toy-course", assignment="toy", parts=parts, id=f"toy-{student}", **{"score": 70} | changes
    )


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with a course, a roster, the files of two LMSs, and `out`, as `autograder grade` leaves it."""
    copied(tmp_path, ('assignments = ["toy"]\n', POLICY), path="assignments/course.toml")
    (tmp_path / "roster.csv").write_text(ROSTER)
    (tmp_path / "canvas.csv").write_text(CANVAS, newline="")
    (tmp_path / "moodle.csv").write_text(MOODLE)
    store, handed_in = records.Store(tmp_path / "out"), []
    for number, student in enumerate(("ada", "bob", "eve", "kim"), 501):
        own = Submission(
            student, student.encode(), student, submitted_at=datetime(2026, 3, 1 + (student == "bob"), 11, tzinfo=UTC),
            number="" if student == "kim" else str(number),
        )  # fmt: skip
        store.write(record(student, digest=own.digest))
        handed_in.append(own)
    Ledger(tmp_path / "out", "toy").enter(handed_in)
    return tmp_path


class Run(Protocol):
    def __call__(self, *arguments: str, code: int = 0) -> tuple[list[str], str]: ...


@pytest.fixture
def run(made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `autograder export out` in that folder: the lines that it prints, and what it says on standard error."""
    monkeypatch.chdir(made)
    monkeypatch.setenv("PATH", os.environ["PATH"])  # nbgrader's export adds to it

    def command(*arguments: str, code: int = 0) -> tuple[list[str], str]:
        monkeypatch.setattr(sys, "argv", ["autograder", "export", "out", "--course", "course", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert end.value.code == code, printed.out + printed.err
        return printed.out.splitlines(), printed.err

    return command


def table(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_it_is_a_command(made: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "export", "out", "--course", "course", "--to", "junit"], cwd=made,
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "wrote junit.xml",
        "bob in toy: 70 -> 63 (1 day late, 7 points taken off for lateness)",
    ]


# --- a gradebook that is filled


def test_canvas_is_filled_and_rows_that_no_score_fits_are_named(made: Path, run: Run) -> None:
    said, failed = run("--to", "canvas", "--gradebook", "canvas.csv", "--roster", "roster.csv")
    assert [row[-1] for row in table(made / "canvas-filled.csv")] == [
        f"{TITLE} (101)", "100", "95", "63", "EX", "70", "3",
    ]  # fmt: skip
    assert said == [
        "filled 4 rows; wrote canvas-filled.csv",
        "left 1 rows as they were, which no score here fits: \\x1b[2JZoe, Z",
        *BEFORE_AND_AFTER,
    ]
    assert failed == ""


def test_a_student_who_fits_no_row_is_named_and_the_others_are_filled(made: Path, run: Run) -> None:
    (made / "roster.csv").write_text(ROSTER.replace("14,24", "99,24"))
    said, failed = run("--to", "canvas", "--gradebook", "canvas.csv", "--roster", "roster.csv", code=1)
    assert failed == "kim: left out, fits no row by canvas_id or sis_id or login\n"
    assert "left 2 rows as they were, which no score here fits: Kim; \\x1b[2JZoe, Z" in said
    assert [row[-1] for row in table(made / "canvas-filled.csv")][2:] == ["95", "63", "EX", "", "3"]


def test_moodle_gets_the_scores_with_what_was_done_to_them(made: Path, run: Run) -> None:
    said, failed = run("--to", "moodle", "--gradebook", "moodle.csv", "--roster", "roster.csv", "--out", "m.csv")
    assert [(row[2], row[4]) for row in table(made / "m.csv")[1:]] == [
        ("95", "set by hand to 95, seen in person"),
        ("63", "1 day late, 7 points taken off for lateness, well explained"),
        ("", "excused, ill"),
        ("70", ""),
    ]
    assert (said, failed) == (["filled 4 rows; wrote m.csv", *BEFORE_AND_AFTER], "")


# --- files that are made


def test_junit_has_both_scores_of_everybody(made: Path, run: Run) -> None:
    said, failed = run("--to", "junit", "--roster", "roster.csv")
    suites = ElementTree.parse(made / "junit.xml").getroot()
    found = [{p.get("name"): p.get("value") for p in suite.findall("./properties/property")} for suite in suites]
    assert [(own["score"], own.get("final")) for own in found] == [
        ("70", "95.0"),
        ("70", "63.0"),
        ("70", None),
        ("70", "70.0"),
    ]
    assert (said, failed) == (["wrote junit.xml", *BEFORE_AND_AFTER], "")


def test_gradescope_gets_scores_and_comments_and_each_who_is_left_out_has_the_true_reason(made: Path, run: Run) -> None:
    said, failed = run("--to", "gradescope", "--roster", "roster.csv", code=1)
    assert failed.splitlines() == [
        "eve: left out, excused, and Gradescope knows only scores",
        "kim: left out, has no Gradescope submission",
    ]
    assert said[0].startswith("wrote 2 results into autograder.zip")
    assert said[1:] == BEFORE_AND_AFTER
    with zipfile.ZipFile(made / "autograder.zip") as packed:
        held = {n: json.loads(packed.read(n))["results"] for n in packed.namelist() if n.startswith("results/")}
    assert {name: result["score"] for name, result in held.items()} == {"results/501.json": 95, "results/502.json": 63}
    assert "Before the course's policy: 70 of 100 points (set by hand to 95)." in held["results/501.json"]["output"]
    assert "**Comment:** seen in person" in held["results/501.json"]["output"]
    assert "**Comment:** well explained" in held["results/502.json"]["output"]


def test_an_excused_student_alone_is_no_failure_of_the_export_to_gradescope(made: Path, run: Run) -> None:
    again = Submission("kim", b"kim", "kim", number="504", submitted_at=datetime(2026, 3, 1, 11, tzinfo=UTC))
    Ledger(made / "out", "toy").enter([again])
    _, failed = run("--to", "gradescope", "--roster", "roster.csv")
    assert failed == "eve: left out, excused, and Gradescope knows only scores\n"


def test_a_result_has_the_score_before_and_after_policy_and_a_comment_that_is_no_markup() -> None:
    result = gradescope.results(record("ada"), FeedbackPolicy(), words="1 day late", score=63, comment="<b>[x](y)")
    assert result["score"] == 63
    assert "Before the course's policy: 70 of 100 points (1 day late)." in result["output"]
    assert "<" not in result["output"]
    assert "](" not in result["output"]


# --- what must not go unseen


def test_a_score_of_0_for_nothing_to_grade_says_so(made: Path, run: Run) -> None:
    records.Store(made / "out").write(record("kim", problem="no toy.py in \x1b[2J", score=0))
    _, failed = run("--to", "junit")
    assert failed == "kim: 0 points, nothing could be graded: no toy.py in \\x1b[2J\n"
    (made / "own.csv").write_text("student,score\nkim,12\n")
    _, failed = run("--to", "junit", "--roster", "own.csv")
    assert failed == ""


def test_an_attempt_that_was_handed_in_and_not_graded_is_named(made: Path, run: Run) -> None:
    again = [Submission(name, b"again", name) for name in ("ada", "eve", "kim", "new")]
    Ledger(made / "out", "toy").enter(again)
    _, failed = run("--to", "junit", "--roster", "roster.csv", code=1)
    assert failed.splitlines() == [  # the roster has decided on ada and eve
        "kim: attempt 2 of toy is not graded yet; run `autograder grade` again",
        "new: attempt 1 of toy is not graded yet; run `autograder grade` again",
    ]


def test_a_line_of_the_roster_that_fits_nobody_is_named(made: Path, run: Run) -> None:
    (made / "roster.csv").write_text(
        "student,assignment,due,comment\nada,toy,2026-03-02T12:00Z,\nbbo,toy,2026-03-02T12:00Z,\nevee,,,ill\n"
    )
    _, failed = run("--to", "junit", "--roster", "roster.csv", code=1)
    assert failed.splitlines() == [
        "bbo: handed in nothing for toy, and has a line in the roster",
        "evee: handed in nothing for any assignment, and has a line in the roster",
    ]


def test_a_score_by_hand_without_a_submission_fills_a_row_and_more_than_the_points_is_said(
    made: Path, run: Run
) -> None:
    (made / "roster.csv").write_text(ROSTER + "zoe,880,,oral exam,15,\n")
    said, failed = run("--to", "canvas", "--gradebook", "canvas.csv", "--roster", "roster.csv")
    assert [row[-1] for row in table(made / "canvas-filled.csv")][2:] == ["95", "63", "EX", "70", "880"]
    assert said[-1] == "zoe in toy: 0 -> 880 (set by hand to 880, oral exam)"
    assert failed == "zoe: set by hand to 880 of 100 points\n"
    run("--to", "junit", "--roster", "roster.csv")
    suites = ElementTree.parse(made / "junit.xml").getroot()
    assert (len(suites), suites[-1].get("name"), suites[-1].get("timestamp")) == (5, "toy: zoe", None)


# --- nbgrader's database


def test_nbgrader_gets_parts_and_a_score_by_hand_that_it_cannot_hold_is_named(made: Path, run: Run) -> None:
    pytest.importorskip("nbgrader")
    from nbgrader.api import Gradebook

    database = f"sqlite:///{made / 'gradebook.db'}"
    arguments = ("--to", "nbgrader", "--db", database, "--roster", "roster.csv")
    said, failed = run(*arguments, code=1)
    assert said == [f"wrote 3 submissions to {database}", *BEFORE_AND_AFTER]
    assert failed.splitlines() == [
        "eve: left out, excused: a score of theirs that nbgrader has stays",
        "ada: is set by hand to 95; nbgrader has 70: correct a part's score there",
    ]
    with Gradebook(database, "toy-course") as book:
        found = {own.student.id: (own.score, own.late_submission_penalty) for own in book.assignment_submissions("toy")}
        assert found == {"ada": (70, 0), "bob": (70, 7), "kim": (70, 0)}
        grade = book.find_grade("part-tape", "toy", "toy", "ada")
        grade.extra_credit = 25.0  # as a person does in formgrader
        book.db.commit()

    _, failed = run(*arguments)  # now they agree, and what the person did is still there
    assert failed == "eve: left out, excused: a score of theirs that nbgrader has stays\n"
    with Gradebook(database, "toy-course") as book:
        assert book.find_submission("toy", "ada").score == 95


def test_what_could_not_be_graded_is_named_and_not_written_into_nbgraders_database(made: Path, run: Run) -> None:
    pytest.importorskip("nbgrader")
    records.Store(made / "out").write(record("kim", grader_error="the judge ended"))
    said, failed = run("--to", "nbgrader", "--db", "sqlite:///a.db", "--roster", "roster.csv", code=1)
    assert said[0] == "wrote 2 submissions to sqlite:///a.db"
    assert "kim: has no score: the grader could not do its work\n" in failed


def test_a_score_by_hand_without_a_submission_is_named_and_nothing_is_written_of_it(made: Path, run: Run) -> None:
    pytest.importorskip("nbgrader")
    (made / "roster.csv").write_text("student,score\nzoe,88\n")
    said, failed = run("--to", "nbgrader", "--db", "sqlite:///a.db", "--roster", "roster.csv", code=1)
    assert said[0] == "wrote 4 submissions to sqlite:///a.db"
    assert failed == "zoe: is set by hand to 88 and has no parts to write\n"


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("nonsense", "Could not parse SQLAlchemy URL"),
        ("sqlite:////nonexistent/a.db", "unable to open database file"),
        ("nobase://a", "nobase"),
        ("sqlite:///roster.csv", "not a database"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_to_be_so_in_one_line(
    made: Path, run: Run, database: str, said: str
) -> None:
    pytest.importorskip("nbgrader")
    (made / "roster.csv").write_text(ROSTER * 10)  # SQLite reads 100 bytes
    _, failed = run("--to", "nbgrader", "--db", database, code=2)
    assert said in failed
    assert failed.count("\n") == 1


# --- what is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "excel"], "--to is one of canvas, moodle"),
        (["--to", "nbgrader"], "name nbgrader's database"),
        (["--to", "canvas"], "--gradebook names the file that you exported from Canvas"),
        (["--to", "moodle"], "--gradebook names the file that you exported from Moodle"),
        (["--to", "moodle", "--gradebook", "nowhere.csv"], "cannot read nowhere.csv"),
        (["--to", "moodle", "--gradebook", "canvas.csv"], "no grading worksheet of Moodle"),
        (["--to", "canvas", "--gradebook", "canvas.csv", "--column", "Another"], "0 columns are called 'Another'"),
        (["--to", "junit", "--roster", "canvas.csv"], "canvas.csv has no column"),
        (["--to", "junit", "--roster", "roster.csv", "--out", "./roster.csv"], "roster.csv is read here"),
        (["--to", "canvas", "--gradebook", "canvas.csv", "--out", "./out/../canvas.csv"], "canvas.csv is read here"),
        (["--to", "canvas", "--gradebook", "utf-16.csv"], "utf-16.csv is not UTF-8: save it as CSV UTF-8"),
        (["--to", "canvas", "--gradebook", "canvas.csv", "--out", "out"], "cannot write out: Is a directory"),
        (["--to", "moodle", "--gradebook", "moodle.csv", "--out", "/nonexistent/x"], "cannot write /nonexistent/x"),
        (["--to", "moodle", "--gradebook", "."], "cannot read ."),
        (["--to", "junit", "--out", "/nonexistent/x"], "cannot write /nonexistent/x"),
        (["--to", "gradescope", "--out", "out"], "cannot write out: Is a directory"),
        (["--to", "junit", "--assignment", "bpe"], "bpe"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_one_line_and_writes_nothing(
    made: Path, run: Run, arguments: list[str], said: str
) -> None:
    (made / "utf-16.csv").write_text(CANVAS, encoding="utf-16")
    before = {path: path.read_bytes() for path in made.iterdir() if path.is_file()}
    printed, failed = run(*arguments, code=2)
    assert printed == []
    assert said in failed
    assert failed.count("\n") == 1
    assert {path: path.read_bytes() for path in made.iterdir() if path.is_file()} == before


def test_records_of_two_assignments_need_a_name(made: Path, run: Run) -> None:
    records.Store(made / "out").write(fake.record("ada", "bpe"))
    _, failed = run("--to", "canvas", "--gradebook", "canvas.csv", code=2)
    assert "name one with --assignment: bpe, toy" in failed


def test_records_that_a_submission_could_forge_are_refused(made: Path, run: Run) -> None:
    records.Store(made / "out").write(record("kim", level="none"))
    _, failed = run("--to", "junit", code=2)
    assert "made at level none, where a submission can forge them" in failed
    assert not (made / "junit.xml").exists()
