"""Lanes: what a sandboxed judge says is what a judge without a boundary says, and no death of a process changes it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from toyclass import COURSE, SOLUTION, STUB, edited, graded

from autograder import executors, records, sandbox
from autograder.course import Limits
from autograder.executors import Event, LaneSettings, Task
from autograder.job import Job
from autograder.outcome import TestOutcome

pytestmark = pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")

FULL = LaneSettings("full", ("torch",))
FORGETS = edited(("return found", "return found[:-1]"))
COUNTS_RUNS = edited(("return sum(count for _, count in self.kept)", "return len(self.kept)"))
KEY = "a key of this test"


def task(name: str, source: str, **more: object) -> Task:
    return Task(name, Job("toy", source.encode(), b"seed", course=str(COURSE), **more))  # type: ignore[arg-type]


def timeless(outcomes: object) -> list[TestOutcome]:
    return [msgspec.structs.replace(outcome, seconds=0.0) for outcome in outcomes]  # type: ignore[attr-defined]


def done(events: list[Event]) -> dict[str, Event]:
    """The last event of each task, of which there is one."""
    last = [event for event in events if event.done]
    assert len({event.task.name for event in last}) == len(last)
    return {event.task.name: event for event in last}


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command of every process."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if stat[0] != "Z":
                found[int(entry)] = (int(stat[1]), command)
    return found


def descendants(root: int) -> dict[int, str]:
    """The processes below one, with their commands."""
    table, found, size = processes(), {root: ""}, 0
    while len(found) > size:
        size = len(found)
        found |= {pid: command for pid, (parent, command) in table.items() if parent in found and pid != root}
    del found[root]
    return found


def gone(pids: dict[int, str], seconds: float = 10.0) -> bool:
    """Whether all of these end within some seconds."""
    end = time.monotonic() + seconds
    while set(pids) & set(processes()):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def kill_the_judge() -> None:
    for pid, command in descendants(os.getpid()).items():
        if "autograder.judge.server" in command:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def kill_the_zygote() -> None:
    for pid, command in descendants(os.getpid()).items():
        if "autograder.judge.server" not in command:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


# --- the same outcomes


@pytest.fixture(scope="module")
def outcomes_in_sandboxes() -> dict[str, Event]:
    short = Limits(call_seconds=1, test_seconds=5, submission_seconds=60, memory_mebibytes=512)
    tasks = [
        task("solution", SOLUTION, diagnose=False),
        task("forgets", FORGETS, diagnose=False),
        task("counts", COUNTS_RUNS),
        task("stub", STUB, diagnose=False),
        task("aborts", edited(("return found", "import os; os.abort()"))),
        task("exits", edited(("return found", "import os; os._exit(0)"))),
        task("loops", edited(("return found", "while True: pass")), limits=short, only=("test_finds_every_run",)),
        task(
            "hoards", edited(("return found", "x = bytearray(1 << 40)")), limits=short, only=("test_counts_long_runs",)
        ),
        task("public", FORGETS, suite="public", diagnose=False),
        task("alone", SOLUTION, only=("test_a_tape_knows_its_length",)),
    ]
    return done(list(executors.run(tasks, FULL, 1, 600.0)))


@pytest.mark.parametrize(("name", "source"), [("solution", SOLUTION), ("forgets", FORGETS), ("stub", STUB)])
def test_a_sandboxed_judge_says_what_one_without_a_boundary_says(
    outcomes_in_sandboxes: dict[str, Event], name: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert timeless(outcomes_in_sandboxes[name].outcomes) == timeless(graded(source).values())


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("aborts", "crashed", "ends its process with signal 6 (SIGABRT)"),
        ("exits", "crashed", "ends its process with exit code 0"),
        ("loops", "timeout", "takes longer than 2 s"),
        ("hoards", "out_of_memory", "needs more than 512 MiB"),
    ],
)
def test_whatever_a_submission_does_has_its_status(
    outcomes_in_sandboxes: dict[str, Event], name: str, status: str, reason: str
) -> None:
    event = outcomes_in_sandboxes[name]
    assert event.grader_error == ""
    runs = [outcome for outcome in event.outcomes if outcome.part == "runs"]
    assert {(outcome.status, outcome.reason, outcome.earned) for outcome in runs} == {(status, reason, 0)}
    assert all("runs(" in outcome.calls[-1] for outcome in runs)


def test_a_misconception_is_named(outcomes_in_sandboxes: dict[str, Event]) -> None:
    (failed,) = (outcome for outcome in outcomes_in_sandboxes["counts"].outcomes if outcome.status == "failed")
    assert failed.hint == "`length` counts runs, not characters."


def test_a_job_can_ask_for_one_test_or_for_the_public_ones(outcomes_in_sandboxes: dict[str, Event]) -> None:
    assert [outcome.test for outcome in outcomes_in_sandboxes["alone"].outcomes] == ["test_a_tape_knows_its_length"]
    assert "test_runs_of_the_handout" in {outcome.test for outcome in outcomes_in_sandboxes["public"].outcomes}


# --- deaths


def test_a_death_of_a_judge_or_of_a_zygote_changes_no_outcome_and_two_end_one_task_alone(
    outcomes_in_sandboxes: dict[str, Event],
) -> None:
    kill: dict[str, Callable[[], None]] = {
        "judge dies": kill_the_judge,
        "zygote dies": kill_the_zygote,
        "doomed": kill_the_judge,
        "untouched": lambda: None,
    }
    tasks = [task(name, FORGETS, diagnose=False) for name in kill]
    once, events = {"judge dies", "zygote dies"}, []
    for event in executors.run(tasks, FULL, 1, 600.0):
        events.append(event)
        if event.outcome is not None and (event.task.name in once or event.task.name == "doomed"):
            once.discard(event.task.name)
            kill[event.task.name]()
    last = done(events)
    assert list(last) == list(kill)
    expected = timeless(outcomes_in_sandboxes["forgets"].outcomes)
    for name in ("judge dies", "zygote dies", "untouched"):
        assert last[name].grader_error == ""
        assert timeless(last[name].outcomes) == expected
    assert "judge" in last["doomed"].grader_error
    assert last["doomed"].outcomes == ()


def test_a_zygote_that_dies_while_it_starts_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[sandbox.Zygote] = []
    really_start = sandbox.start

    def start(*arguments: object, **more: object) -> sandbox.Zygote:
        zygote = really_start(*arguments, **more)  # type: ignore[arg-type]
        started.append(zygote)
        if len(started) < executors.STARTS:
            while zygote._keep.first_process() is None:
                time.sleep(0.01)
            os.kill(zygote._keep.first_process() or zygote._process.pid, signal.SIGKILL)
        return zygote

    monkeypatch.setattr(sandbox, "start", start)
    (event,) = [event for event in executors.run([task("one", SOLUTION)], FULL, 1, 600.0) if event.done]
    assert len(started) == executors.STARTS
    assert event.grader_error == ""
    assert {outcome.status for outcome in event.outcomes} == {"passed"}


def test_a_zygote_is_replaced_after_so_many_forks_and_no_outcome_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [task(f"{n}", SOLUTION if n % 2 else FORGETS, diagnose=False) for n in range(4)]
    first = done(list(executors.run(tasks, FULL, 1, 600.0)))
    begun = []
    start = sandbox.start

    def counted(*args: object, **more: object) -> sandbox.Zygote:
        begun.append(args)
        return start(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(sandbox, "start", counted)
    monkeypatch.setattr(executors, "FORKS_PER_ZYGOTE", 5)
    second = done(list(executors.run(tasks, FULL, 1, 600.0)))
    assert len(begun) == 4  # each task takes more than five forks
    assert {name: timeless(event.outcomes) for name, event in second.items()} == {
        name: timeless(event.outcomes) for name, event in first.items()
    }


def test_closing_the_iterator_leaves_no_process() -> None:
    before = descendants(os.getpid())
    run = executors.run([task("one", SOLUTION), task("two", SOLUTION)], FULL, 2, 600.0)
    next(run)
    began = {pid: command for pid, command in descendants(os.getpid()).items() if pid not in before}
    assert any("judge.server" in command for command in began.values())
    run.close()
    assert gone(began)
    assert not {pid for pid in descendants(os.getpid()) if pid not in before}


def test_an_exception_in_the_consumer_leaves_no_process_even_before_a_lane_is_ready() -> None:
    before = descendants(os.getpid())
    lane = executors.Lane(FULL)
    lane.close()
    with pytest.raises(executors.LaneBroken):
        lane.grade(task("one", SOLUTION).job, 600.0, lambda outcome: None)
    assert not {pid for pid in descendants(os.getpid()) if pid not in before}


def test_a_level_that_there_is_not_is_the_error_of_the_run() -> None:
    with pytest.raises(sandbox.SandboxError):
        list(executors.run([task("one", SOLUTION)], LaneSettings("strongest", ("torch",)), 1, 600.0))


def test_no_task_needs_no_process() -> None:
    assert list(executors.run([], FULL, 4, 600.0)) == []


# --- interruptions


def begin(submissions: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "autograder", "grade", "toy", str(submissions), "--course", str(COURSE)]
    return subprocess.Popen(
        [*command, "--out", str(out), "--jobs", "1"],
        env=os.environ | {"AUTOGRADER_COURSE_KEY": KEY, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def after_a_record(program: subprocess.Popen[str]) -> str:
    """The first line that says what a new record is worth."""
    assert program.stderr is not None
    for line in program.stderr:
        if "/100" in line and "(was there)" not in line:
            return line
    raise AssertionError("it ended without a record")


def comparable(out: Path) -> list[records.Record]:
    """The records of a folder without what depends on when and where they were made."""
    return [
        msgspec.structs.replace(
            record,
            seconds=0.0,
            graded_at="",
            tests=tuple(msgspec.structs.replace(test, seconds=0.0, replay="") for test in record.tests),
        )
        for record in records.read_all(out)
    ]


def test_a_run_that_was_interrupted_and_killed_goes_on_and_ends_with_the_same_records(tmp_path: Path) -> None:
    for student, source in {"ada": SOLUTION, "bob": STUB, "cy": FORGETS, "dee": "x = ("}.items():
        (tmp_path / "handed in" / student).mkdir(parents=True)
        (tmp_path / "handed in" / student / "toy.py").write_text(source, encoding="utf-8")
    broken, whole = tmp_path / "broken", tmp_path / "whole"

    # A shell starts what it puts into the background with this signal ignored, and children would inherit that.
    ignored_perhaps = signal.signal(signal.SIGINT, signal.default_int_handler)
    program = begin(tmp_path / "handed in", broken)
    signal.signal(signal.SIGINT, ignored_perhaps)
    after_a_record(program)
    children = descendants(program.pid)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "run the same command again and it goes on from here" in said
    assert "Traceback" not in said
    assert gone(children)
    assert len(comparable(broken)) < 4

    program = begin(tmp_path / "handed in", broken)
    after_a_record(program)
    children = descendants(program.pid)
    program.kill()
    program.communicate(timeout=60)
    assert gone(children, 30.0)

    for out in (broken, whole):
        program = begin(tmp_path / "handed in", out)
        _, said = program.communicate(timeout=300)
        assert program.returncode == 0, said
        assert ("(was there)" in said) == (out == broken)
    assert comparable(broken) == comparable(whole)
    assert [(record.student, record.score) for record in comparable(whole)] == [
        ("ada", 100),
        ("bob", 0),
        ("cy", 40),
        ("dee", 0),
    ]
