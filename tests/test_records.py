"""Records: named by all that a score depends on, written whole or not at all, and never silently missing."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from toyclass import COURSE, copied, toy

from autograder import records
from autograder.course import Limits
from autograder.outcome import TestOutcome, TraceEntry
from autograder.records import Key, PartResult, Record, RecordError, Store, part_results, record_id

INPUTS: dict[str, Any] = {
    "assignment": "toy", "student": "ada", "attempt": 1, "digest": "d" * 64, "suite": "s" * 16, "key": "k" * 12,
    "limits": "{}", "device": "cpu", "level": "full", "versions": {"torch": "2.13.0", "hypothesis": "6.1"},
}  # fmt: skip


def outcome(**changes: Any) -> TestOutcome:
    own = {
        "test": "t",
        "part": "runs",
        "points": 30,
        "kind": "value-checked",
        "status": "passed",
        "sentence": "It is so.",
    }
    return TestOutcome(**(own | changes))


def record(identity: str = "a" * 32, **changes: Any) -> Record:
    own: dict[str, Any] = {
        "id": identity, "course": "toy-course", "assignment": "toy", "student": "ada", "attempt": 1,
        "origin": "ada/toy.py", "digest": "d" * 64, "problem": "", "notes": ("a note",), "score": 30, "max_score": 100,
        "parts": (PartResult("runs", "Run-length encoding", 30, 30, "passed"),),
        "tests": (outcome(earned=30, trace=[TraceEntry(1, "f", "π")], calls=["runs('ß\\ud800')"]),),
        "suite": "s" * 16, "suite_parts": {"runs": "r"}, "key": "demo", "level": "full", "isolation": "zygote",
        "device": "cpu", "versions": {"torch": "2.13.0"}, "seconds": 1.5, "graded_at": "2025-01-01T00:00:00+00:00",
        "source": "# a submission\n",
    }  # fmt: skip
    return Record(**(own | changes))


def one_line(error: pytest.ExceptionInfo[RecordError], *parts: str) -> None:
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


# --- names


def test_the_same_inputs_have_the_same_name() -> None:
    assert record_id(**INPUTS) == record_id(**INPUTS)
    assert record_id(**INPUTS | {"versions": dict(reversed(INPUTS["versions"].items()))}) == record_id(**INPUTS)


CHANGES: list[tuple[str, Any]] = [
    ("assignment", "bpe"), ("student", "bob"), ("attempt", 2), ("digest", "e" * 64), ("suite", "t" * 16),
    ("key", "l" * 12), ("limits", '{"call_seconds":1}'), ("device", "cuda"), ("level", "landlock"),
    ("versions", {"torch": "2.13.1", "hypothesis": "6.1"}), ("versions", {"torch": "2.13.0", "hypothesis": "6.2"}),
    ("versions", {"torch": "2.13.0"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_any_changed_input_has_another_name(name: str, value: Any) -> None:
    assert record_id(**INPUTS | {name: value}) != record_id(**INPUTS)


def test_neighbouring_inputs_do_not_run_together() -> None:
    assert record_id(**INPUTS | {"student": "ad", "attempt": 11}) != record_id(
        **INPUTS | {"student": "ad1", "attempt": 1}
    )
    assert record_id(**INPUTS | {"device": "c", "level": "pu"}) != record_id(**INPUTS | {"device": "cp", "level": "u"})


def test_every_input_of_a_name_is_tried_here() -> None:
    assert {name for name, _ in CHANGES} == set(INPUTS)


def test_a_seed_depends_on_the_key_the_assignment_and_the_submission() -> None:
    seeds = {
        Key(secret).seed(assignment, digest)
        for secret in (b"key number one", b"key number two")
        for assignment in ("toy", "bpe")
        for digest in ("d", "e")
    }
    assert len(seeds) == 8
    assert Key(b"key number one").seed("toy", "d") in seeds


def test_the_id_of_a_key_says_nothing_of_it_but_that_it_is_the_demos() -> None:
    assert Key(records.DEMO_KEY).id == "demo"
    assert "secret" not in Key(b"a secret text").id
    assert Key(b"a secret text").id != Key(b"a secret texu").id


# --- hashes of suites

ALL = {"moving_average", "runs", "tape"}
EDITS: dict[str, tuple[str, tuple[str, str], set[str]]] = {
    "a test": ("suites/toy/test_toy.py", ("character * count), [(", "character * count ), [("), {"runs"}),
    "a decorator": ("suites/toy/test_toy.py", ("st.integers(60, 200)", "st.integers(60, 201)"), {"runs"}),
    "points of a test": ("suites/toy/test_toy.py", ('@part("tape", points=10)', '@part("tape", points=11)'), {"tape"}),
    "a helper": ("suites/toy/test_toy.py", ("len(list(group))", "sum(1 for _ in group)"), ALL),
    "the reference": ("solutions/toy/toy.py", ("return found", "return list(found)"), ALL),
    "a limit": ("assignments/toy/assignment.toml", ("call_seconds = 3", "call_seconds = 4"), ALL),
    "what may be imported": (
        "assignments/toy/assignment.toml",
        ('runtime = ["torch"]', 'runtime = ["torch", "regex"]'),
        ALL,
    ),
    "what a part needs": ("assignments/toy/assignment.toml", ('["runs"]', "[]"), ALL),
    "a planted bug": ("suites/toy/bugs.py", ("return len(self.kept)", "return len(self.kept) + 1"), set()),
    "the handout": ("assignments/toy/README.md", ("Fill in", "Please fill in"), set()),
    "a public test": ("assignments/toy/test_toy.py", ("max_examples=10", "max_examples=11"), set()),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_a_change_changes_the_hash_of_the_parts_that_it_touches(what: str, tmp_path: Path) -> None:
    path, edit, touched = EDITS[what]
    before = records.suite_hashes(toy())
    after = records.suite_hashes(toy(copied(tmp_path, edit, path=path)))
    assert {name for name in before if before[name] != after[name]} == touched
    assert (records.suite_hash(before) == records.suite_hash(after)) == (not touched)


def test_a_new_file_of_a_suite_changes_every_part(tmp_path: Path) -> None:
    course = copied(tmp_path)
    (course / "suites" / "toy" / "strategies.py").write_text("LETTERS = 'ab'\n")
    before, after = records.suite_hashes(toy()), records.suite_hashes(toy(course))
    assert all(before[name] != after[name] for name in before)


def test_where_a_course_lies_changes_no_hash(tmp_path: Path) -> None:
    assert records.suite_hashes(toy(copied(tmp_path))) == records.suite_hashes(toy(COURSE))


# --- parts


def test_a_part_has_the_points_of_its_tests_and_the_status_of_the_worst() -> None:
    tests = [outcome(earned=20), outcome(test="u", status="timeout"), outcome(test="v", status="failed")]
    (average, runs, tape) = part_results(toy(), tests)
    assert (runs.name, runs.points, runs.earned, runs.status) == ("runs", 30, 20, "timeout")
    assert (average.earned, tape.earned) == (0, 0)


def test_a_part_without_tests_has_not_passed() -> None:
    assert {part.status for part in part_results(toy(), [])} == {"skipped"}


def test_an_error_of_the_judge_needs_a_person() -> None:
    assert not record().needs_a_person
    assert record(tests=(outcome(status="error"),)).needs_a_person
    assert record(grader_error="the judge is gone").needs_a_person


# --- the folder


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.write(record())
    assert store.find("a" * 32) == records.read(path) == record()
    assert store.find("b" * 32) is None


def test_a_record_is_readable_by_others_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = Store(tmp_path).write(record())
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == [path.name]


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    left, living = store.folder / ".write-left", store.folder / ".write-living"
    for path in (left, living):
        path.write_bytes(b"{")
    os.utime(left, (0, 0))
    Store(tmp_path)
    assert (left.exists(), living.exists()) == (False, True)


def test_records_are_read_in_the_order_of_assignments_and_students(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, (assignment, student, attempt) in enumerate(
        [("toy", "bob", 1), ("bpe", "eve", 1), ("toy", "ada", 2), ("toy", "ada", 1)]
    ):
        store.write(record(f"{number:032}", assignment=assignment, student=student, attempt=attempt))
    (store.folder / ".write-abandoned").write_bytes(b"{")
    found = [(own.assignment, own.student, own.attempt) for own in records.read_all(tmp_path)]
    assert found == [("bpe", "eve", 1), ("toy", "ada", 1), ("toy", "ada", 2), ("toy", "bob", 1)]
    assert list(records.read_all(store.folder)) == list(records.read_all(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'"score": 30', b'"score": "30"'),
        lambda data: data.replace(b'"student"', b'"pupil"'),
        lambda data: data.replace(b'"passed"', b'"perfect"'),
        lambda data: b"\xff" + data,
        lambda data: b"[" * 100_000,
        lambda data: data.replace(b'"format": 1', b'"format": 99'),
    ],
)
def test_a_damaged_record_is_an_error_that_names_it(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.write(record())
    path.write_bytes(damage(path.read_bytes()))
    for look in (lambda: store.find("a" * 32), lambda: list(records.read_all(tmp_path))):
        with pytest.raises(RecordError) as error:
            look()
        one_line(error, str(path))


def test_a_folder_in_place_of_a_record_is_an_error_that_names_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.path("a" * 32).mkdir()
    with pytest.raises(RecordError) as error:
        store.find("a" * 32)
    one_line(error, str(store.path("a" * 32)))


@pytest.mark.parametrize("name", ["", "nothing", "file"])
def test_a_folder_without_records_is_an_error_that_says_so(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="no records") as error:
        list(records.read_all(tmp_path / name))
    one_line(error)


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_a_write_that_is_cut_off_leaves_the_old_record_whole(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*args: object) -> None:
        raise KeyboardInterrupt

    store = Store(tmp_path)
    path = store.write(record())
    with monkeypatch.context() as patch:
        patch.setattr(os, call, cut)
        with pytest.raises(KeyboardInterrupt):
            store.write(record(score=7))
    assert records.read(path) == record()
    assert os.listdir(path.parent) == [path.name]


def test_a_full_disk_is_an_error_in_one_line_and_leaves_the_old_record_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = Store(tmp_path)
    path = store.write(record())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError) as error:
        store.write(record(score=7))
    one_line(error, "No space left on device", str(path))
    assert records.read(path) == record()
    assert os.listdir(path.parent) == [path.name]


def test_a_file_that_may_not_grow_is_an_error_in_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
    try:
        with pytest.raises(RecordError) as error:
            store.write(record(source="x" * 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_line(error, "File too large")
    assert os.listdir(store.folder) == []


def test_an_output_that_cannot_be_written_is_an_error_before_anything_is_graded(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/version/out"), Path("/proc/grades")):
        with pytest.raises(RecordError) as error:
            Store(out)
        one_line(error, "cannot write", "--out")


def test_a_folder_that_vanished_is_an_error_in_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.folder.rmdir()
    with pytest.raises(RecordError) as error:
        store.write(record())
    one_line(error, "No such file")


def test_limits_are_plain_data_that_a_name_can_hold() -> None:
    assert msgspec.json.decode(msgspec.json.encode(Limits()), type=Limits) == Limits()
