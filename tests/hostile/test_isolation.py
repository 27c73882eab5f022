"""Both isolations: a fresh interpreter says what a fork says."""

from __future__ import annotations

import msgspec
import pytest
from hostile_corpus import HONEST, entries, submission
from hostile_machine import canary
from toyclass import COURSE

from autograder import executors
from autograder.executors import Event, LaneSettings, Task
from autograder.job import Job

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


@pytest.mark.full
def test_a_fresh_interpreter_says_what_a_fork_says() -> None:
    with canary() as paths:
        sources = {own.name: submission(own, paths) for own in ENTRIES if own.name in BOTH.split()}
        sources |= {name: source for name, (source, _) in HONEST.items()}
        tasks = []
        for name, source in sources.items():
            job = Job("toy", source.encode(), b"seed", course=str(COURSE), only=TESTS[:1], diagnose=False)
            tasks.append(Task(name, job))
        forked, fresh = done(tasks), done(tasks, "fresh")
    assert {name: said(fresh[name]) for name in sources} == {name: said(forked[name]) for name in sources}
    assert not any(event.grader_error for event in (*forked.values(), *fresh.values()))
