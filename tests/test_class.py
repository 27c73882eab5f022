"""The embedded class, graded through the public commands: who earns what, and what a forger gets.

`autograder demo` itself runs on the toy course. Of the other assignments only those are graded here who have done no
work: valid styles and planted bugs are what adequacy grades, and a loop is endless in every course.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toyclass import COURSE as TOY
from toyclass import toy

from autograder import demo
from autograder.course import Assignment, open_course
from autograder.records import DEMO_KEY

CLASSES = [pytest.param((toy(), str(TOY)), id="toy")] + [
    pytest.param((assignment, ""), id=assignment.name, marks=pytest.mark.full)
    for assignment in open_course().assignments
]
FORGERS = ("a forger", "leaves with exit code 0", "a syntax error")
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces"),
]


def autograder(*arguments: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "autograder", *arguments, "--jobs", "2", "--json"],
        capture_output=True, text=True, timeout=1700, env={**os.environ, "AUTOGRADER_COURSE_KEY": DEMO_KEY.decode()},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


Graded = tuple[Assignment, Path, dict]


@pytest.fixture(scope="module", params=CLASSES)
def graded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Graded:
    assignment, course = request.param
    folder = tmp_path_factory.mktemp(assignment.name)
    out = folder / "report"
    members = demo.members(assignment)
    if course:
        found = autograder("demo", assignment.name, "--out", str(out), "--course", course)
    else:
        members = [member for member in members if member.what in ("an untouched stub", *FORGERS)]
        demo.write(members, folder / "submissions", assignment.module)
        found = autograder("grade", assignment.name, str(folder / "submissions"), "--out", str(out))
    records = {record["student"]: record for record in found}
    return assignment, out, {member.what: records[member.student] for member in members}


def test_the_class_has_twelve_members_and_each_has_one_record(graded: Graded) -> None:
    assignment, out, records = graded
    assert len(demo.members(assignment)) >= 12
    assert len(list((out / "records").glob("*.json"))) == len(records)
    assert (out / "index.html").is_file()


@pytest.mark.parametrize("graded", CLASSES[:1], indirect=True)
def test_valid_solutions_have_full_marks_and_a_single_mistake_costs_some(graded: Graded) -> None:
    assignment, _, records = graded
    scores = {what: record["score"] for what, record in records.items()}
    valid = {score for what, score in scores.items() if what == "the reference" or "another style" in what}
    mistaken = [score for what, score in scores.items() if what.startswith("one mistake")]
    assert valid == {assignment.points}
    assert mistaken
    assert all(0 < score < assignment.points for score in mistaken)


def test_nobody_is_paid_for_no_work(graded: Graded) -> None:
    _, _, records = graded
    stub = records["an untouched stub"]["score"]
    assert stub == 0
    for what in FORGERS:
        assert records[what]["score"] <= stub
    assert not any(record["grader_error"] for record in records.values())


def test_every_lost_point_has_a_reason(graded: Graded) -> None:
    _, _, records = graded
    for record in records.values():
        lost = [test for test in record["tests"] if test["earned"] < test["points"]]
        assert all(test["reason"] and test["sentence"] for test in lost)
        assert sum(test["points"] for test in record["tests"]) == record["max_score"]
