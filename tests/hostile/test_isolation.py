"""Both isolations: a fresh interpreter says what a fork says.

A sample of the corpus in every full run. All of it, and the toy's demo class, by `python
tests/hostile/test_isolation.py`, which takes a quarter of an hour or more: a fresh interpreter imports torch each time.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import msgspec  # noqa: E402
import pytest  # noqa: E402
from hostile_corpus import HONEST, Entry, entries, submission  # noqa: E402
from hostile_machine import canary  # noqa: E402
from toyclass import COURSE, toy  # noqa: E402

from autograder import demo, executors  # noqa: E402
from autograder.executors import Event, LaneSettings, Task  # noqa: E402
from autograder.job import Job  # noqa: E402

pytestmark = pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")

ENTRIES = entries()
BOTH = """
agrees_with_everything aborts answers_nan asks_the_machines_name calls_the_32_bit_abi forks leaves_with_exit_code_0
reads_a_file_by_its_path sends_a_key_twice speaks_unasked takes_too_much_memory writes_results
"""
TESTS = ("test_finds_every_run", "test_a_tape_reads_as_what_was_written")


def done(tasks: list[Task], isolation: executors.Isolation = "zygote", jobs: int = 2) -> dict[str, Event]:
    settings = LaneSettings("full", ("torch",), isolation)
    return {event.task.name: event for event in executors.run(tasks, settings, jobs, 600.0) if event.done}


def said(event: Event) -> list[object]:
    return [msgspec.structs.replace(outcome, seconds=0.0) for outcome in event.outcomes]


def differences(chosen: list[Entry], others: dict[str, str], only: tuple[str, ...]) -> dict[str, object]:
    """What the two say differently of these submissions, and what the grader itself could not do."""
    with canary() as paths:
        sources = {own.name: submission(own, paths) for own in chosen} | others
        jobs = {
            name: Job("toy", source.encode(), b"seed", course=str(COURSE), only=only, diagnose=False)
            for name, source in sources.items()
        }
        tasks = [Task(name, job) for name, job in jobs.items()]
        forked, fresh = done(tasks), done(tasks, "fresh")
    errors = {name: own.grader_error for both in (forked, fresh) for name, own in both.items() if own.grader_error}
    return errors | {
        name: (said(forked[name]), said(fresh[name])) for name in sources if said(forked[name]) != said(fresh[name])
    }


@pytest.mark.full
def test_a_fresh_interpreter_says_what_a_fork_says() -> None:
    chosen = [own for own in ENTRIES if own.name in BOTH.split()]
    assert differences(chosen, {name: source for name, (source, _) in HONEST.items()}, TESTS[:1]) == {}


if __name__ == "__main__":
    members = {member.what: member.source.decode() for member in demo.members(toy())}
    print(len(ENTRIES), "of the corpus and", len(members), "members differ in:", differences(ENTRIES, members, TESTS))
