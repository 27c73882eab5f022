"""The embedded class, graded through the public command: who earns what, and what a forger gets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import demo
from autograder.course import Assignment, open_course

COURSE = open_course()
pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(1800),
    pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces"),
]


@pytest.fixture(scope="module", params=COURSE.assignments, ids=lambda assignment: assignment.name)
def graded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Assignment, Path, dict]:
    assignment = request.param
    out = tmp_path_factory.mktemp(assignment.name) / "report"
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "demo", assignment.name, "--out", str(out), "--jobs", "2", "--json"],
        capture_output=True, text=True, timeout=1700,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    records = {record["student"]: record for record in json.loads(done.stdout)}
    return assignment, out, {member.what: records[member.student] for member in demo.members(assignment)}


def test_the_class_has_twelve_members_and_each_has_one_record(graded: tuple[Assignment, Path, dict]) -> None:
    _, out, records = graded
    assert len(records) >= 12
    assert len(list((out / "records").glob("*.json"))) == len(records)
    assert (out / "index.html").is_file()


def test_valid_solutions_have_full_marks(graded: tuple[Assignment, Path, dict]) -> None:
    assignment, _, records = graded
    valid = {what: r["score"] for what, r in records.items() if what == "the reference" or "another style" in what}
    assert len(valid) >= 3
    assert set(valid.values()) == {assignment.points}


def test_a_single_mistake_costs_points_and_not_all(graded: tuple[Assignment, Path, dict]) -> None:
    assignment, _, records = graded
    scores = [record["score"] for what, record in records.items() if what.startswith("one mistake")]
    assert scores
    assert all(0 < score < assignment.points for score in scores)


def test_nobody_is_paid_for_no_work(graded: tuple[Assignment, Path, dict]) -> None:
    _, _, records = graded
    stub = records["an untouched stub"]["score"]
    assert stub == 0
    for what in ("a forger", "leaves with exit code 0", "a syntax error"):
        assert records[what]["score"] <= stub
    assert not any(record["grader_error"] for record in records.values())


def test_every_lost_point_has_a_reason(graded: tuple[Assignment, Path, dict]) -> None:
    _, _, records = graded
    for record in records.values():
        lost = [test for test in record["tests"] if test["earned"] < test["points"]]
        assert all(test["reason"] and test["sentence"] for test in lost)
        assert sum(test["points"] for test in record["tests"]) == record["max_score"]
