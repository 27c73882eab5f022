"""Adequacy: a suite without teeth is found, a suite that bites the innocent is found, and the toy suite is neither."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from toyclass import COURSE, copied, graded, toy

from autograder import adequacy, executors
from autograder.adequacy import KEYS, Adequacy, measure
from autograder.executors import Event, LaneSettings, Task

SUITE, BUGS = "suites/toy/test_toy.py", "suites/toy/bugs.py"
TOOTHLESS = ("checks.equal(toy.runs(text), runs_of(text))", "checks.equal(toy.runs(text), toy.runs(text))")
NOWHERE = LaneSettings("none", ("torch",))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Judges in this process, with no boundary. Returns the tasks that they were given."""
    given: list[Task] = []

    def run(
        tasks: Sequence[Task], settings: LaneSettings, jobs: int, seconds: float, unless: Callable[[Task], bool]
    ) -> Iterator[Event]:
        for task in tasks:
            if unless(task):
                yield Event(task, done=True)
                continue
            given.append(task)
            job = task.job
            assert job.shrink is job.diagnose is False
            outcomes = graded(
                job.source, seed=job.seed, course=Path(job.course), suite=job.suite, only=job.only, shrink=False
            )
            yield Event(task, outcome=next(iter(outcomes.values())))
            yield Event(task, done=True, outcomes=tuple(outcomes.values()))

    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(executors, "run", run)
    return given


def measured(course: Path = COURSE, *only: str, keys: int = 1, matrix: bool = True) -> Adequacy:
    return measure(
        toy(course), NOWHERE, keys=KEYS[:keys], matrix=matrix, only=frozenset(only), course_folder=str(course)
    )


def test_the_toy_suite_is_adequate(in_process: list[Task]) -> None:
    result = measured()
    assert result.faults == []
    assert len(result.bugs) == 10
    assert all(bug.killed == bug.keys == 1 and bug.killed_by in bug.noticed_by for bug in result.bugs)
    assert [(valid.name, valid.kept) for valid in result.valid] == [
        ("reference", 1),
        ("cumulative_sums", 1),
        ("windows_and_loops", 1),
    ]
    assert {bug.part for bug in result.bugs if bug.passes_public} == {"moving_average", "runs", "tape"}


def test_every_key_draws_other_inputs(in_process: list[Task]) -> None:
    measured(COURSE, "counts_runs", keys=3, matrix=False)
    assert len({task.job.seed for task in in_process}) == len(in_process) == 3


def test_a_test_without_teeth_is_found_by_the_bug_that_survives_it(in_process: list[Task], tmp_path: Path) -> None:
    result = measured(copied(tmp_path, TOOTHLESS), "forgets_the_last_run", keys=2)
    (fault,) = result.faults
    assert fault.startswith("forgets_the_last_run survives test_finds_every_run under 2 of 2 keys (passed")


def test_a_valid_solution_that_loses_a_point_is_found(in_process: list[Task], tmp_path: Path) -> None:
    course = copied(tmp_path, ("st.integers(60, 200)", "st.integers(60, 200).filter(lambda n: n % 2)"))
    style = course / "suites" / "toy" / "alternatives" / "even_only.py"
    text = (course / "solutions" / "toy" / "toy.py").read_text()
    style.write_text(text.replace("return found", "return [(c, n // 2 * 2 if n > 50 else n) for c, n in found]"))
    result = measured(course, "even_only", "reference")
    assert [(valid.name, valid.kept) for valid in result.valid] == [("reference", 1), ("even_only", 0)]
    (fault,) = result.faults
    assert fault.startswith("even_only is valid and fails ")
    assert "test_counts_long_runs (failed: is wrong at [0])" in fault


def test_a_crash_kills_no_bug(in_process: list[Task], tmp_path: Path) -> None:
    course = copied(
        tmp_path, ('("return found", "return found[:-1]")', '("return found", "raise KeyError")'), path=BUGS
    )
    (fault,) = measured(course, "forgets_the_last_run").faults
    assert "survives" in fault
    assert "raises KeyError" in fault


def test_a_bug_whose_killer_is_not_there_is_found(in_process: list[Task], tmp_path: Path) -> None:
    course = copied(
        tmp_path,
        (
            'part="tape",\n        killed_by="test_a_tape_knows_its_length"',
            'part="tape",\n        killed_by="test_of_courage"',
        ),
        path=BUGS,
    )
    assert "counts_runs: no hidden test is called test_of_courage" in measured(course, "counts_runs").faults


def test_a_part_whose_bugs_all_fail_public_tests_is_found(in_process: list[Task], tmp_path: Path) -> None:
    course = copied(
        tmp_path,
        ('checks.equal(toy.runs("aab"), [("a", 2), ("b", 1)])', 'checks.equal(toy.runs("A" * 60), [("A", 60)])'),
        path="assignments/toy/test_toy.py",
    )
    file = course / BUGS
    file.write_text(file.read_text() + '\nBUGS = [bug for bug in BUGS if bug.part == "runs"]\n')
    assert measured(course).faults == [
        "part moving_average has no planted bug",
        "part runs: every planted bug fails a public test, so the hidden ones add nothing",
        "part tape has no planted bug",
    ]


def test_a_judge_that_fails_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(tasks: Sequence[Task], *more: object, **named: object) -> Iterator[Event]:
        for task in tasks:
            yield Event(task, done=True, grader_error="Traceback\nKeyError: 'x'")

    monkeypatch.setattr(executors, "run", run)
    result = measured(COURSE, "reference")
    assert "reference: the judge failed: KeyError: 'x'" in result.faults


def test_without_the_matrix_the_public_tests_are_asked_until_a_bug_of_each_part_has_passed_them(
    in_process: list[Task],
) -> None:
    result = measured(matrix=False)
    assert result.faults == []
    passed = [bug.part for bug in result.bugs if bug.passes_public]
    assert sorted(passed) == ["moving_average", "runs", "tape"]
    assert len([task for task in in_process if task.job.suite == "public"]) < len(result.bugs)


def test_progress_is_told_to_the_end(in_process: list[Task]) -> None:
    told: list[tuple[int, int]] = []
    measure(
        toy(), NOWHERE, keys=KEYS[:1], only=frozenset({"counts_runs"}), course_folder=str(COURSE),
        tell=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(1, 2), (2, 2)]


def test_there_are_three_keys() -> None:
    assert len({key.secret for key in adequacy.KEYS}) == 3


@pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")
def test_the_command_exits_with_1_where_a_bug_survives(tmp_path: Path) -> None:
    course = copied(tmp_path, TOOTHLESS)
    command = [sys.executable, "-m", "autograder", "adequacy", "toy", "--course", str(course), "--jobs", "1"]
    done = subprocess.run(
        [*command, "--keys", "2", "--only", "forgets_the_last_run", "--only", "reference"], check=False,
        capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "SURVIVES 0/2  forgets_the_last_run" in done.stdout
    assert "1 of 1 valid solutions kept" in done.stdout


@pytest.mark.full
@pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")
def test_the_toy_suite_is_adequate_under_every_key_and_in_sandboxes() -> None:
    result = measure(toy(), LaneSettings("full", ("torch",)), jobs=2, course_folder=str(COURSE))
    assert result.faults == []
    assert all(bug.keys == 3 for bug in result.bugs)
