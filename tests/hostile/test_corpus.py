"""Hostile submissions, graded by the public command at each level: none reads, forges, takes or leaves anything."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hostile_corpus import ANSWER, AROUND, CORPUS, KINDS, Entry, entries, submission
from hostile_machine import refuse
from hostile_run import grade, wrong

from autograder import sandbox, wire
from autograder.course import Limits
from autograder.judge.session import Ended, Session, StudentError, Unusable
from autograder.sandbox import kernel

ENTRIES = entries()
# One of each kind of attack, and of each kind of end.
SAMPLED = """
    reads_a_file_by_its_path searches_the_environment asks_how_large_a_file_is leaves_a_key_behind walks_the_frames
    agrees_with_everything answers_nan subclasses_tensor patches_the_wire leaves_with_exit_code_0 prints_that_it_passed
    writes_results returns_markup raises_a_megabyte takes_too_much_memory fills_its_folder forks opens_a_socket
    calls_the_32_bit_abi loops_at_import aborts speaks_unasked nests_keys_of_one_hash sends_the_largest_tensor
    answers_twice plants_plugins
"""
SAMPLE = [own for own in ENTRIES if own.name in SAMPLED.split()]
LEVELS = ("full", "landlock")


@pytest.fixture(scope="session")
def levels() -> dict[str, str]:
    """Why a level cannot be tried here, or ""."""
    return {standing.level: "" if standing.holds else standing.why or "no" for standing in sandbox.probe().levels}


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest, levels: dict[str, str]) -> str:
    own = str(request.param)
    if levels[own]:
        refuse(f"needs level {own}: {levels[own]}")
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)  # so that whatever a run leaves behind is found
    return own


def test_every_file_says_what_it_is() -> None:
    assert len(ENTRIES) >= 150
    assert len(SAMPLE) >= 25
    attempts = [own.attempt for own in ENTRIES]
    assert len(set(attempts)) == len(attempts)
    bodies = [own.text.split("\n", 1)[1].strip() for own in ENTRIES]
    assert len(set(bodies)) == len(bodies)
    for own in ENTRIES:
        assert 1 <= own.security_class <= 80
        assert own.controls() or own.wins_without.startswith(("one process", "always harmless: ", "not switched off: "))
        for level in LEVELS:
            score, statuses = own.record_says(level)
            assert 0 <= score <= 100
            assert set(statuses) <= {"passed", "failed", "timeout", "crashed", "out_of_memory"}


def test_every_class_that_a_submission_can_try_is_there() -> None:
    tried = {own.security_class for own in ENTRIES}
    # 14, 34, 45, 61-65, 67, 68: the grader's own logic, wall and intake, which no submission's code reaches: the tests
    # of those have them; 74-76 stand beside 73; 78-80: nothing is promised, or it is no submission.
    elsewhere = {14, 34, 45, 61, 62, 63, 64, 65, 67, 68, 74, 75, 76, 78, 79, 80}
    assert tried | elsewhere == set(range(1, 81))


@pytest.mark.parametrize("kind", [*KINDS, "whole"])
def test_every_kind_is_python_with_its_frame(kind: str) -> None:
    paths = {"CANARY": "/canary", "COURSE": "/course", "OUT": "/out"}
    for own in ENTRIES:
        if own.kind == kind:
            source = submission(own, paths)
            assert not any(f"@{name}@" in source for name in paths)
            compile(source, own.name, "exec", dont_inherit=True)


def how_it_breaks_the_protocol(own: Entry) -> str:
    """What the judge's side says of an entry's replies, read here without a process; "" where it takes them."""
    text = own.text + (ANSWER if own.kind == "answer" else "") + AROUND["reply"]
    space: dict[str, Any] = {"__name__": own.name}
    exec(compile(text, own.name, "exec", dont_inherit=True), space)

    class Replies:
        """A worker that loads well and answers every question after that as the entry does."""

        left = b""

        def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
            if isinstance(question.operation, wire.Load):
                return wire.Reply(question.nonce, wire.Answer(None), []), bytearray()
            self.left += space["reply"](question.nonce)
            header, body = wire.lengths(self._take(wire.PREFIX.size))
            return wire.reply(self._take(header)), bytearray(self._take(body))

        def _take(self, size: int) -> bytes:
            taken, self.left = self.left[:size], self.left[size:]
            if len(taken) < size:
                raise Ended("timeout", "takes too long")
            return taken

        def close(self) -> None:
            pass

    session = Session(Replies(), own.name, b"", Limits())
    question = wire.Call(wire.TargetNode(-1, "runs"))
    for number in ("the first", "the second"):  # where one that answers twice is found
        try:
            with suppress(Unusable, StudentError):
                session.ask(question, wire.Encoder(), None)
        except Ended as end:
            return f"{number} reply: {end.reason}" if end.status == "crashed" else ""
    return ""


def test_no_two_replies_break_the_protocol_alike() -> None:
    seen: dict[str, str] = {}
    for own in ENTRIES:
        if own.kind in ("reply", "answer") and "crashed" in own.record_says("full")[1]:
            reason = re.sub(r"[\d,]+ bytes", "so many bytes", how_it_breaks_the_protocol(own))
            assert reason, own.name
            assert seen.setdefault(reason, own.name) == own.name, f"{own.name} and {seen[reason]}: {reason}"
    assert len(seen) >= 15


def test_a_sample_comes_to_nothing(level: str, tmp_path: Path) -> None:
    assert wrong(grade(SAMPLE, level, tmp_path), SAMPLE, level) == []


@pytest.mark.full
def test_the_whole_corpus_comes_to_nothing(level: str, tmp_path: Path) -> None:
    run = grade(ENTRIES, level, tmp_path)
    assert wrong(run, ENTRIES, level) == []
    print(f"{level}: {len(ENTRIES)} in {run.seconds:.0f} s, at most {run.peak_mebibytes:.0f} MiB a process; {CORPUS}")
