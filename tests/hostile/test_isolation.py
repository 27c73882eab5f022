"""Both isolations, and another assignment: a fresh interpreter says what a fork says; `attention` holds too."""

from __future__ import annotations

import msgspec
import pytest
from hostile_corpus import FUTURE, HONEST, early, entries, placed, submission
from hostile_machine import canary
from toyclass import COURSE

from autograder import executors
from autograder.course import open_course
from autograder.executors import Event, LaneSettings, Task
from autograder.job import Job
from autograder.stubs import stub

pytestmark = pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")

ENTRIES = entries()
BOTH = """
agrees_with_everything aborts answers_nan asks_the_machines_name calls_the_32_bit_abi forks leaves_with_exit_code_0
reads_a_file_by_its_path sends_a_key_twice speaks_unasked takes_too_much_memory writes_results
"""
TESTS = ("test_finds_every_run", "test_a_tape_reads_as_what_was_written")
# What a function earns that raises, or that returns its argument: no more than honest code that does the same.
HONESTLY = {"claims_every_exception", "hands_back_its_input", "answers_itself", "spoils_its_input"}


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


AT_IMPORT = """

try:
    _loot = attack()
except BaseException:
    _loot = None
if _loot:
    raise RuntimeError(_loot)
"""


@pytest.mark.full
def test_attention_is_neither_read_nor_forged() -> None:
    assignment = open_course().assignment("attention")
    untouched = stub(assignment.solution.read_text(encoding="utf-8"))
    with canary() as paths:
        tasks = []
        for own in ENTRIES:
            if own.kind == "forge":
                source = submission(own, paths, stub=untouched)
                tasks.append(Task(own.name, Job("attention", source.encode(), b"seed", diagnose=False, shrink=False)))
            elif own.kind == "attack" and own.security_class <= 14:
                # Made while a stub is imported, which cannot be imported if it won.
                source = placed(f"{early(own.text)}\n\n{untouched.replace(FUTURE, '')}{AT_IMPORT}", paths)
                job = Job(
                    "attention", source.encode(), b"seed", only=("test_extreme_inputs_stay_finite",), diagnose=False
                )
                tasks.append(Task(own.name, job))
        events = done(tasks)
        secrets = paths["TOKEN"]
    wrong = []
    for own in ENTRIES:
        if own.name in events:
            outcomes = events[own.name].outcomes
            earned = sum(outcome.earned for outcome in outcomes)
            words = msgspec.json.encode(outcomes).decode()
            if events[own.name].grader_error or secrets in words:
                wrong.append((own.name, events[own.name].grader_error[-300:] or "the canary"))
            elif own.kind == "attack" and any("imported" in outcome.reason for outcome in outcomes):
                wrong.append((own.name, outcomes[0].reason))
            elif earned > (20 if own.name in HONESTLY else 0):
                wrong.append((own.name, f"{earned} points: {[o.test for o in outcomes if o.earned]}"))
    assert wrong == []
