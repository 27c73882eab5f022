"""A suite is mended: only what changed runs, the difference is shown first, and scores by hand stay."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_records as fake
import msgspec
import pytest
from toyclass import COURSE, SOLUTION, STUB, copied, edited, toy

from autograder import batch, executors, policy, records, regrade, roster
from autograder.course import open_course
from autograder.records import Key, Record, Store

SUITE = "suites/toy/test_toy.py"


def run(folder: Path, *arguments: object) -> str:
    environment = os.environ | {"AUTOGRADER_COURSE_KEY": "a key of this test", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "autograder", *map(str, arguments)], cwd=folder, env=environment, capture_output=True,
        text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


OPTIONS = batch.Options(key=Key(b"a key of this test"), level="full")


def of(suite: dict[str, str], student: str = "ada", **changes: Any) -> Record:
    """A record under a suite of these hashes, under the name that a record of this student has."""
    record = fake.record(student, "bpe", suite_parts=suite, key=OPTIONS.key.id, **changes)
    name = records.record_id(
        assignment="toy", student=student, attempt=1, digest=record.digest, suite=records.suite_hash(suite),
        key=OPTIONS.key.id, limits=msgspec.json.encode(toy().limits).decode(), device="cpu", level="full",
        versions={name: importlib.metadata.version(name) for name in batch.VERSIONS},
    )  # fmt: skip
    return msgspec.structs.replace(record, id=name, assignment="toy")


OLD, NEW, OTHER = {"tape": "0"}, records.suite_hashes(toy()), {"tape": "1"}
BEFORE, BETWEEN, AFTER = (f"2026-03-0{day}T09:00:00+00:00" for day in (1, 2, 3))


@pytest.fixture
def graded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The students who were graded again, by a grader that finds every submission right at once."""
    names: list[str] = []

    def grade(one: batch.Batch, identity: str, assignment: Any, old: Record, ran: Any, options: Any) -> Record:
        names.append(old.student)
        record = msgspec.structs.replace(of(NEW, old.student, source=old.source), id=identity, graded_at=AFTER)
        one.store.write(record)
        return record

    monkeypatch.setattr(regrade, "_graded", grade)
    return names


def again(out: Path) -> list[regrade.Change]:
    return regrade.run(open_course(COURSE), records.read_all(out), out, lambda record: OPTIONS, lambda change: None)


def waiting(out: Path, *pending: Record, old: Record) -> Path:
    """An output folder with one record, and with others that wait."""
    Store(out).write(old)
    for record in pending:
        Store(out / "pending").write(record)
    return out


def found(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "records").glob("*.json")}


def test_nothing_that_waits_is_accepted_once_the_suite_is_as_it_was(tmp_path: Path) -> None:
    old, new = of(NEW, graded_at=BEFORE), of(OTHER, graded_at=AFTER)
    out = waiting(tmp_path / "out", new, old=old)
    said = run(tmp_path, "regrade", "out", "--course", COURSE, "--accept")
    assert "0 graded again" in said
    assert "accepted 0 records" in said
    assert (found(out), found(out / "pending")) == ({old.id}, set())


def test_of_what_waits_only_what_was_shown_is_accepted(tmp_path: Path, graded: list[str]) -> None:
    old, other = of(OLD, graded_at=BEFORE), of(OTHER, graded_at=AFTER)
    out = waiting(tmp_path, other, old=old)
    (change,) = again(out)
    assert regrade.accept(out, [change]) == 1
    assert (found(out), found(out / "pending")) == ({old.id, change.new.id}, set())


def test_what_waits_is_looked_up_and_not_graded_once_more(tmp_path: Path, graded: list[str]) -> None:
    out = waiting(tmp_path, old=of(OLD, graded_at=BEFORE))
    assert again(out) == again(out)
    assert graded == ["ada"]


@pytest.mark.parametrize(
    "changes",
    [{"grader_error": "the judge ended"}, {"graded_at": BEFORE}],
    ids=["the grader failed", "it is older than what it would replace, so it would not count"],
)
def test_what_waits_and_could_not_count_is_graded_again(
    changes: dict[str, str], tmp_path: Path, graded: list[str]
) -> None:
    out = waiting(tmp_path, old=of(OLD, graded_at=BETWEEN))
    (change,) = again(out)
    Store(out / "pending").write(msgspec.structs.replace(change.new, **changes))
    (change,) = again(out)
    assert graded == ["ada", "ada"]
    assert not change.new.grader_error
    assert regrade.accept(out, [change]) == 1


def test_a_failure_of_the_grader_replaces_no_grade(tmp_path: Path, graded: list[str]) -> None:
    out = waiting(tmp_path, old=of(OLD, graded_at=BEFORE))
    (change,) = again(out)
    failed = msgspec.structs.replace(change.new, grader_error="the judge ended")
    assert regrade.accept(out, [msgspec.structs.replace(change, new=failed)]) == 0
    assert found(out / "pending") == {failed.id}  # for a person to look at; the next regrade tries again


def test_figures_are_no_scores_and_stay_where_their_part_did_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advisory = {"kind": "advisory", "points": 0, "earned": 0, "figure": 1.5}
    old = of(NEW | {"tape": "0"}, advisory=tuple(fake.passed(name, test=name, **advisory) for name in ("runs", "tape")))
    Store(tmp_path).write(old)

    def executed(tasks: list[executors.Task], *more: Any) -> Iterator[executors.Event]:
        found = (
            fake.passed("tape", earned=30, points=30),
            fake.passed("tape", test="tape", **advisory | {"figure": 2.0}),
        )
        yield executors.Event(tasks[0], done=True, outcomes=found)

    monkeypatch.setattr(executors, "run", executed)
    (change,) = again(tmp_path)
    assert change.ran == ("tape",)
    assert change.new.score == 30
    assert {test.test: test.figure for test in change.new.advisory} == {"runs": 1.5, "tape": 2.0}
    assert [test for test in change.new.tests if test.kind == "advisory"] == []


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
    record = fake.record("ada", assignment="bpe", suite_parts=before)
    assert regrade.changed_parts(toy(), record) == []
    assert regrade.changed_parts(toy(course), record) == ["runs", "tape"]
