"""A suite is mended: only what changed runs, the difference is shown first, and scores by hand stay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toyclass import SOLUTION, STUB, copied, edited, toy

from autograder import policy, records, regrade, roster
from autograder.course import open_course

SUITE = "suites/toy/test_toy.py"


def run(folder: Path, *arguments: object) -> str:
    environment = os.environ | {"AUTOGRADER_COURSE_KEY": "a key of this test", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "autograder", *map(str, arguments)], cwd=folder, env=environment, capture_output=True,
        text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.full
@pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces")
def test_only_what_changed_runs_and_nothing_is_replaced_before_it_is_accepted(tmp_path: Path) -> None:
    # The suite begins with a mistake: it wants a tape's length to be one more.
    right, wrong = (
        "checks.equal(tape.length(), sum(map(len, texts)))",
        "checks.equal(tape.length(), 1 + sum(map(len, texts)))",
    )
    course = copied(tmp_path, (right, wrong), path=SUITE)
    handed_in = tmp_path / "in"
    for student, source in (("ada", SOLUTION), ("bob", STUB), ("eve", edited(("return found", "return found[1:]")))):
        (handed_in / student).mkdir(parents=True)
        (handed_in / student / "toy.py").write_text(source)
    run(tmp_path, "grade", "toy", handed_in, "--course", course, "--out", "out")
    out = tmp_path / "out"
    assert {r.student: r.score for r in records.read_all(out)} == {"ada": 90, "bob": 0, "eve": 40}
    assert "0 graded again" in run(tmp_path, "regrade", "out", "--course", course)

    copied(tmp_path, (wrong, right), path=SUITE)
    told: list[dict[str, Any]] = json.loads(run(tmp_path, "regrade", "out", "--course", course, "--json"))
    assert {t["student"]: (t["before"], t["after"]) for t in told} == {"ada": (90, 100), "bob": (0, 0), "eve": (40, 40)}
    assert {tuple(t["ran"]) for t in told} == {("tape",)}
    assert {r.student: r.score for r in records.read_all(out)} == {"ada": 90, "bob": 0, "eve": 40}

    said = run(tmp_path, "regrade", "out", "--course", course, "--accept")  # looks up what waits
    assert "90 -> 100  (tape 20 -> 30)" in said
    by_hand = roster.Roster({("eve", "toy"): roster.Rule(score=55)})
    found = policy.standings(open_course(course), records.read_all(out), {}, by_hand)
    assert {s.student: (s.raw, s.final, s.attempts) for s in found} == {
        "ada": (100, 100, 1), "bob": (0, 0, 1), "eve": (40, 55, 1)
    }  # fmt: skip
    assert "0 graded again" in run(tmp_path, "regrade", "out", "--course", course)

    # Graded afresh it would be the same record, test by test.
    run(tmp_path, "grade", "toy", handed_in, "--course", course, "--out", "fresh")
    fresh = {r.student: r for r in records.read_all(tmp_path / "fresh")}
    for record in records.read_all(out):
        if record.suite == fresh[record.student].suite:
            assert record.id == fresh[record.student].id
            assert [(t.test, t.status, t.earned, t.calls) for t in record.tests] == [
                (t.test, t.status, t.earned, t.calls) for t in fresh[record.student].tests
            ]


def test_a_part_that_needs_a_changed_one_runs_too(tmp_path: Path) -> None:
    before = records.suite_hashes(toy())
    course = copied(tmp_path, ("character * count), [(", "character * count ), [("), path=SUITE)
    import fake_records as fake

    record = fake.record("ada", assignment="bpe", suite_parts=before)
    assert regrade.changed_parts(toy(), record) == []
    assert regrade.changed_parts(toy(course), record) == ["runs", "tape"]
