"""Grading: what the judge says of a submission, whatever that does. No boundary here: that is the sandbox's."""

from __future__ import annotations

import base64
import os
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import msgspec
import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toyclass import MEAN, SOLUTION, STUB, copied, edited, graded, toy

from autograder import wire
from autograder.course import Limits
from autograder.judge import checks
from autograder.judge.grading import MAX_TIMEOUTS
from autograder.judge.proxies import Submission
from autograder.judge.session import MAX_KEPT_BYTES, Ended, LocalConnection, Session, weight
from autograder.judge.show import brief, literal
from autograder.judge.trial import MAX_SHRINKS
from autograder.outcome import TestOutcome

MEANS, REFUSES, GRADIENT = (
    "test_is_the_mean_of_the_last_entries",
    "test_refuses_a_window_of_nothing",
    "test_carries_a_gradient",
)
FINDS, LONG = "test_finds_every_run", "test_counts_long_runs"
READS, LENGTH = "test_a_tape_reads_as_what_was_written", "test_a_tape_knows_its_length"
TESTS = [MEANS, REFUSES, GRADIENT, FINDS, LONG, READS, LENGTH]

AVERAGE = "means = [x[..., max(0, t + 1 - window) : t + 1].mean(-1) for t in steps]"
DIVIDES = edited((MEAN, "x[..., max(0, t + 1 - window) : t + 1].sum(-1) / window"))
NEVER_JOINS = edited(("if self.kept and self.kept[-1][0] == character:", "if not character:"))
IN_AVERAGE = "    if window < 1:"


@pytest.fixture(autouse=True)
def _as_in_a_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge loads no plugins of the environment."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def told(outcomes: dict[str, TestOutcome]) -> list[Any]:
    """All of the outcomes but the time that they took."""
    return [msgspec.structs.replace(outcome, seconds=0.0) for outcome in outcomes.values()]


def earned(outcomes: dict[str, TestOutcome]) -> int:
    return sum(outcome.earned for outcome in outcomes.values())


def shown(outcome: TestOutcome) -> str:
    """Everything of an outcome that its student reads, but the lines of their own file."""
    return "\n".join(
        [
            outcome.sentence,
            outcome.reason,
            *outcome.calls,
            outcome.returned,
            outcome.expected,
            outcome.hint,
            outcome.hint_evidence,
        ]
    )


# --- advisory tests: a figure, and no point

SPEED = "test_speed_of_runs"
RACE = """

@part("runs", kind="advisory")
def test_speed_of_runs(toy):
    \"\"\"Runs of 1,000 characters, in times of the reference.\"\"\"
    from autograder.judge import race

    checks.equal(*race(lambda solution: lambda n: solution.runs("ab" * 499 + "cde"[n] * 2), toy))
"""
IN_RUNS = "    found: list[tuple[str, int]] = []\n"


@pytest.fixture
def racing(tmp_path: Path) -> Path:
    """The course with an advisory test, in the middle of whose parts it stands."""
    course = copied(tmp_path)
    suite = course / "suites" / "toy" / "test_toy.py"
    suite.write_text(suite.read_text(encoding="utf-8") + RACE, encoding="utf-8")
    return course


def in_a_long_text(statement: str) -> str:
    return edited((IN_RUNS, f"{IN_RUNS}    if len(text) == 1000:\n        {statement}\n"))


def test_an_advisory_test_comes_last_and_says_how_fast_a_submission_is(racing: Path) -> None:
    outcomes = graded(in_a_long_text("import time; time.sleep(0.2)"), course=racing)
    assert list(outcomes) == [*TESTS, SPEED]
    speed = outcomes[SPEED]
    assert (speed.status, speed.kind, speed.points, speed.earned) == ("passed", "advisory", 0, 0)
    assert speed.figure is not None
    assert speed.figure > 2
    assert earned(outcomes) == 100


@pytest.mark.parametrize(
    ("source", "status", "score"),
    [
        (in_a_long_text("return []"), "failed", 100),
        (in_a_long_text("raise MemoryError"), "out_of_memory", 100),
        (edited(("return found", "return found[:-1]")), "skipped", 40),
    ],
    ids=["fast and wrong", "ends", "wrong everywhere"],
)
def test_what_an_advisory_test_says_costs_nothing(racing: Path, source: str, status: str, score: int) -> None:
    outcomes = graded(source, course=racing)
    assert (outcomes[SPEED].status, outcomes[SPEED].figure is None) == (status, status != "failed")
    assert earned(outcomes) == score
    assert outcomes[LENGTH].status == ("passed" if score == 100 else "skipped")


def test_an_advisory_test_that_runs_out_of_time_is_not_asked_again(racing: Path) -> None:
    asked: list[float] = []

    class Slow(LocalConnection):
        def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
            if isinstance(question.operation, wire.Call) and question.operation.args == ["ab" * 499 + "cc"]:
                asked.append(seconds)
                raise Ended("timeout", "it is late")
            return super().exchange(question, buffers, seconds)

    outcomes = graded(SOLUTION, course=racing, connect=lambda limits: Slow())
    assert (outcomes[SPEED].status, earned(outcomes), len(asked)) == ("timeout", 100, 1)


# --- what a test is worth


def test_the_solution_passes_every_test_and_earns_every_point() -> None:
    outcomes = graded(SOLUTION)
    assert list(outcomes) == TESTS
    assert {outcome.status for outcome in outcomes.values()} == {"passed"}
    for part in toy().parts:
        assert sum(outcome.earned for outcome in outcomes.values() if outcome.part == part.name) == part.points
    assert earned(outcomes) == toy().points == 100


def test_an_untouched_stub_earns_nothing_and_is_not_written_yet() -> None:
    outcomes = graded(STUB)
    assert earned(outcomes) == 0
    for test in (MEANS, REFUSES, GRADIENT, FINDS, LONG):
        assert (outcomes[test].status, outcomes[test].reason) == ("failed", "is not written yet")
    assert outcomes[FINDS].trace[-1].text == "raise NotImplementedError"


def test_only_the_tests_that_pass_earn_their_points() -> None:
    outcomes = graded(DIVIDES)
    assert [test for test in TESTS if outcomes[test].status != "passed"] == [MEANS]
    assert earned(outcomes) == 80


def test_the_sentence_of_a_test_is_the_first_paragraph_of_its_docstring() -> None:
    sentence = "Whatever is written and erased, a tape reads as the runs of the text that is left."
    assert graded(SOLUTION, only=[READS])[READS].sentence == sentence


def test_a_part_whose_requirement_failed_is_skipped_for_that_reason() -> None:
    outcomes = graded(edited(("return found", "return found[:-1]")))
    for test in (READS, LENGTH):
        assert (outcomes[test].status, outcomes[test].earned) == ("skipped", 0)
        assert outcomes[test].reason == "needs runs, which failed"


def test_a_test_that_is_asked_for_by_name_is_never_skipped() -> None:
    outcomes = graded(edited(("return found", "return found[:-1]")), only=[LENGTH])
    assert list(outcomes) == [LENGTH]
    assert outcomes[LENGTH].status == "failed"


def test_public_tests_are_worth_nothing_and_run_like_hidden_ones() -> None:
    outcomes = graded(DIVIDES, suite="public")
    assert [outcome.status for outcome in outcomes.values()].count("failed") == 1
    assert {outcome.points for outcome in outcomes.values()} == {0}


# --- the reason


def test_a_wrong_value_is_shown_on_the_smallest_input() -> None:
    outcome = graded(DIVIDES, only=[MEANS])[MEANS]
    assert outcome.reason == "has wrong values"
    assert outcome.calls in (
        ["moving_average(tensor([1.0], float32), 2)"],
        ["moving_average(tensor([1.0], float64), 2)"],
    )
    assert (outcome.returned[:12], outcome.expected[:12]) == ("tensor([0.5]", "tensor([1.0]")


def test_a_history_is_shown_from_its_beginning_to_the_call_that_failed() -> None:
    outcome = graded(NEVER_JOINS, only=[READS])[READS]
    assert outcome.calls[0] == "Tape()"
    assert outcome.calls[-1] == "<object>.read()"
    assert outcome.expected == "[('A', 2)]" or outcome.expected == "[('a', 2)]"


@pytest.mark.parametrize(
    ("edit", "test", "reason"),
    [
        (("def runs(", "def ruins("), FINDS, "there is no `runs`"),
        (("class Tape:", "class Tap:"), LENGTH, "there is no `Tape`"),
        (("def length(", "def size("), LENGTH, "there is no `length`"),
        (("return found", "return torch.ones(1, dtype=torch.complex64)"), FINDS, "complex64"),
        (("return found", "return torch.ones(2).to_sparse()"), FINDS, "sparse"),
        (("return found", "return '\\ud800'"), FINDS, "surrogates"),
        (("return found", "return object()"), FINDS, "should be a list, not a object"),
        (("return found", "return tuple(found)"), FINDS, "should be a list, not a tuple"),
        (("return found", "return {'a': 1}[text + '?']"), FINDS, "raises KeyError"),
        (("return found", "raise SystemExit(0)"), FINDS, "raises SystemExit"),
        (("return found", "raise KeyboardInterrupt"), FINDS, "raises KeyboardInterrupt"),
        (("return found", "raise GeneratorExit"), FINDS, "raises GeneratorExit"),
        (("return found", "raise AssertionError('this passes')"), FINDS, "raises AssertionError"),
        (("return found", "import pytest; pytest.skip('no need')"), FINDS, "raises Skipped"),
        (("return found", "import hypothesis; hypothesis.assume(False)"), FINDS, "raises UnsatisfiedAssumption"),
        ((IN_AVERAGE, "    return x.detach()\n    if window < 1:"), GRADIENT, "the result carries no gradient"),
        ((IN_AVERAGE, "    x.mul_(0)\n    if window < 1:"), GRADIENT, "raises RuntimeError"),
        ((IN_AVERAGE, "    return None\n    if window < 1:"), MEANS, "should be a tensor, not a NoneType"),
        ((IN_AVERAGE, "    return x.mean()\n    if window < 1:"), MEANS, "should have shape"),
        ((IN_AVERAGE, "    return x.bfloat16()\n    if window < 1:"), MEANS, "should have dtype"),
        ((IN_AVERAGE, "    return x * float('nan')\n    if window < 1:"), MEANS, "holds NaN"),
        (
            ('raise ValueError("a window', 'raise TypeError("a window'),
            REFUSES,
            "should raise ValueError, raised TypeError",
        ),
        (("    if window < 1:\n", "    if window < -9:\n"), REFUSES, "raise"),
    ],
    ids=lambda value: value[1][:30] if isinstance(value, tuple) else None,
)
def test_what_went_wrong_is_said_in_one_line(edit: tuple[str, str], test: str, reason: str) -> None:
    outcome = graded(edited(edit), only=[test])[test]
    assert (outcome.status, outcome.earned) == ("failed", 0)
    assert reason in outcome.reason
    assert "\n" not in outcome.reason


def test_where_the_code_raised_is_shown_by_its_own_lines() -> None:
    source = edited(("return found", 'return found[10**6]  # "private"'))
    outcome = graded(source, only=[LENGTH])[LENGTH]
    assert [step.function for step in outcome.trace] == ["write", "runs"]
    assert outcome.trace[-1].text == source.splitlines()[outcome.trace[-1].line - 1].strip()
    (same,) = graded(f"# a\x0cb\x1cc\u2028d {source}", only=[LENGTH]).values()  # Python ends no line at these
    assert (same.trace, same.status) == (outcome.trace, "failed")


def test_an_error_of_the_suite_is_an_error_that_earns_nothing_and_stops_nobody(tmp_path: Path) -> None:
    course = copied(tmp_path, ("checks.equal(toy.runs(text), runs_of(text))", "checks.equal(toy.runs(text), 1 / 0)"))
    outcomes = graded(SOLUTION, course=course)
    assert (outcomes[FINDS].status, outcomes[FINDS].earned) == ("error", 0)
    assert "ZeroDivisionError" in outcomes[FINDS].reason
    assert "Traceback" in outcomes[FINDS].message
    assert outcomes[LONG].status == "passed"


def test_an_error_of_the_judge_outside_the_test_loses_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("autograder.judge.grading.snippet", broken)
    outcomes = graded(DIVIDES)
    assert list(outcomes) == TESTS
    assert [test for test in TESTS if outcomes[test].status == "error"] == [MEANS]


def test_a_conftest_above_a_suite_is_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import pytest\ndef pytest_collection_modifyitems(items): items.clear()\n")
    assert earned(graded(SOLUTION, course=copied(tmp_path))) == 100


def test_a_suite_that_cannot_be_collected_is_the_judges_failure(tmp_path: Path) -> None:
    course = copied(tmp_path, ('LETTERS = "aAb ß"', 'LETTERS = "aAb ß'))
    with pytest.raises(RuntimeError, match="could not be run"):
        graded(SOLUTION, course=course)


# --- importing


@pytest.mark.parametrize(
    ("source", "reason", "line"),
    [
        ("def f(:\n", "toy.py cannot be imported: SyntaxError in line 1", 1),
        ("x = 1\nimport pandas_of_the_moon\n", "toy.py cannot be imported: ModuleNotFoundError in line 2", 2),
        ("raise SystemExit('100 of 100 points')", "toy.py cannot be imported: SystemExit in line 1", 1),
        (b"x = '\xff'", "toy.py cannot be imported: UnicodeDecodeError", None),
        (b"x = 1\0", "toy.py cannot be imported: ", None),  # a ValueError before Python 3.11.4, then a SyntaxError
    ],
)
def test_a_file_that_cannot_be_imported_fails_every_test_for_that_reason(
    source: str | bytes, reason: str, line: int | None
) -> None:
    outcomes = graded(source)
    assert list(outcomes) == TESTS
    for outcome in outcomes.values():
        assert (outcome.status, outcome.earned) == ("failed", 0)
        assert outcome.reason.startswith(reason)
        assert "100 of 100" not in shown(outcome)
        assert line is None or outcome.trace[-1].line == line


def test_a_file_that_can_be_imported_only_once_loses_no_outcome(tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    source = f"{SOLUTION}\nfrom pathlib import Path\nPath({str(mark)!r}).mkdir()\n"
    outcomes = graded(source)
    assert list(outcomes) == TESTS
    assert outcomes[MEANS].status == "passed"  # it meets the process that imported the file to see whether that works
    for test in (REFUSES, GRADIENT, FINDS, LONG):
        assert outcomes[test].reason.startswith("toy.py cannot be imported: FileExistsError in line")
    assert (outcomes[READS].status, outcomes[LENGTH].status) == ("skipped", "skipped")


def test_a_file_with_a_byte_order_mark_or_carriage_returns_is_a_file_like_any_other() -> None:
    assert earned(graded(b"\xef\xbb\xbf" + SOLUTION.encode())) == 100
    assert earned(graded(SOLUTION.replace("\n", "\r\n"))) == 100


# --- draws and shrinking


class Overheard(LocalConnection):
    """Notes every question but its nonce."""

    notes: list[Any]

    def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
        self.notes.append((question.operation, [bytes(buffer) for buffer in buffers]))
        return super().exchange(question, buffers, seconds)


def overheard(source: str, seed: bytes, test: str) -> list[Any]:
    notes: list[Any] = []

    def connect(limits: Limits) -> Overheard:
        connection = Overheard()
        connection.notes = notes
        return connection

    graded(source, seed=seed, connect=connect, only=[test])
    return notes


@pytest.mark.parametrize("test", TESTS)
def test_the_seed_decides_every_draw(test: str) -> None:
    first, again, other = (overheard(SOLUTION, seed, test) for seed in (b"1", b"1", b"2"))
    assert first == again
    assert first != other


def test_a_test_draws_the_same_alone_as_with_others() -> None:
    alone = graded(NEVER_JOINS, only=[READS])[READS]
    assert told({READS: alone}) == told({READS: graded(NEVER_JOINS)[READS]})


@pytest.mark.parametrize("source", [DIVIDES, NEVER_JOINS], ids=["values", "states"])
def test_the_same_seed_gives_the_same_outcomes(source: str) -> None:
    tests = [MEANS, READS]
    assert told(graded(source, only=tests)) == told(graded(source, only=tests))


def test_the_random_state_of_the_process_decides_nothing() -> None:
    outcomes = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        outcomes.append(told(graded(DIVIDES, only=[MEANS, FINDS])))
    assert outcomes[0] == outcomes[1]


def test_shrinking_ends_after_a_number_of_calls() -> None:
    # Fails on nearly everything, and each failing input has many that are simpler.
    source = edited((AVERAGE, "means = [x[..., 0] * 0 + float(x.sum()) * 1.01 + t for t in steps]"))
    outcome = graded(source, only=[MEANS])[MEANS]
    assert outcome.status == "failed"
    assert outcome.examples <= 30 + MAX_SHRINKS + 1


def test_what_is_not_written_is_not_shrunk() -> None:
    assert graded(STUB, only=[FINDS])[FINDS].examples <= 2


def test_without_shrinking_a_failure_is_still_a_failure() -> None:
    outcomes = graded(DIVIDES, shrink=False)
    assert earned(outcomes) == 80
    assert outcomes[MEANS].reason == "has wrong values"


def test_different_answers_to_one_question_are_said_to_be_so() -> None:
    source = (
        edited(("    found:", "    seen.append(text)\n    if len(seen) == 3: return []\n    found:")) + "\nseen = []\n"
    )
    outcome = graded(source, only=[FINDS])[FINDS]
    assert (outcome.status, outcome.earned) == ("failed", 0)
    assert outcome.reason == "gives different answers to the same question"


# --- workers that end, and workers that lie

Answered = Callable[[wire.Question, wire.Reply, bytearray], tuple[wire.Reply, bytearray]]


def through(change: Answered, name: str = "runs") -> Callable[[Limits], LocalConnection]:
    """Connections whose answers to calls of the function `name` are changed on their way."""

    class Changed(LocalConnection):
        def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
            reply, body = super().exchange(question, buffers, seconds)
            target = getattr(question.operation, "target", None)
            if isinstance(question.operation, wire.Call) and getattr(target, "path", "") == name:
                return change(question, reply, body)
            return reply, body

    return lambda limits: Changed()


def ending(status: str) -> Answered:
    def end(question: wire.Question, reply: wire.Reply, body: bytearray) -> tuple[wire.Reply, bytearray]:
        raise Ended(status, "it ended")

    return end


def test_a_crash_is_reported_with_the_call_that_crashed_and_is_never_repeated() -> None:
    calls: list[wire.Question] = []

    def crash(question: wire.Question, reply: wire.Reply, body: bytearray) -> tuple[wire.Reply, bytearray]:
        calls.append(question)
        raise Ended("crashed", "ends its process with signal 6 (SIGABRT)")

    outcomes = graded(SOLUTION, connect=through(crash))
    for test in (FINDS, LONG):
        assert (outcomes[test].status, outcomes[test].earned) == ("crashed", 0)
        assert outcomes[test].calls[-1].startswith("runs('")
        assert "print(toy.runs('" in outcomes[test].snippet
    assert len(calls) == 2
    assert outcomes[MEANS].status == "passed"


KILLED = Ended("crashed", "ends its process with signal 9 (SIGKILL)", doubtful=True)


def killed(question: wire.Question, reply: wire.Reply, body: bytearray) -> tuple[wire.Reply, bytearray]:
    raise KILLED


@pytest.mark.parametrize(("times", "status"), [(1, "passed"), (2, "crashed")])
def test_a_worker_that_something_else_may_have_killed_is_asked_once_more(times: int, status: str) -> None:
    begun: list[Limits] = []

    def connect(own: Limits) -> LocalConnection:
        begun.append(own)
        return through(killed)(own) if len(begun) <= times else LocalConnection()

    assert graded(SOLUTION, connect=connect, only=[FINDS])[FINDS].status == status
    assert len(begun) == 2


def test_a_wrong_answer_stands_though_the_worker_is_killed_after_it() -> None:
    begun: list[Limits] = []

    def wrong_once(question: wire.Question, reply: wire.Reply, body: bytearray) -> tuple[wire.Reply, bytearray]:
        if answered:
            raise KILLED
        answered.append(question)
        return wire.Reply(question.nonce, wire.Answer(wire.ListNode([])), []), bytearray()

    def connect(own: Limits) -> LocalConnection:
        begun.append(own)
        return through(wrong_once)(own)

    answered: list[wire.Question] = []
    assert graded(SOLUTION, connect=connect, only=[LONG])[LONG].status == "failed"
    assert len(begun) == 1


def test_a_file_whose_import_something_else_may_have_killed_is_imported_again() -> None:
    begun: list[Limits] = []

    class Killed(LocalConnection):
        def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
            raise KILLED

    def connect(own: Limits) -> LocalConnection:
        begun.append(own)
        return Killed() if len(begun) == 1 else LocalConnection()

    assert {outcome.status for outcome in graded(SOLUTION, connect=connect).values()} == {"passed"}


def test_a_timeout_counts_only_if_it_happens_again_with_twice_the_time() -> None:
    limits: list[Limits] = []

    def connect(own: Limits) -> LocalConnection:
        limits.append(own)
        return through(ending("timeout"))(own) if own.call_seconds < 5 else LocalConnection()

    outcomes = graded(SOLUTION, connect=connect)
    assert earned(outcomes) == 100
    assert {own.call_seconds for own in limits} == {3.0, 6.0}


def test_a_part_that_waited_for_one_that_was_late_has_its_turn() -> None:
    def connect(own: Limits) -> LocalConnection:
        return through(ending("timeout"))(own) if own.call_seconds < 5 else LocalConnection()

    outcomes = graded(NEVER_JOINS, connect=connect)
    assert outcomes[FINDS].status == "passed"
    assert (outcomes[READS].status, outcomes[LENGTH].status) == ("failed", "passed")


def test_a_part_that_needs_a_wrong_one_stays_skipped_when_another_was_late() -> None:
    def connect(own: Limits) -> LocalConnection:
        return through(ending("timeout"), "moving_average")(own) if own.call_seconds < 5 else LocalConnection()

    outcomes = graded(edited(("return found", "return found[:-1]")), connect=connect)
    assert outcomes[MEANS].status == "passed"
    assert outcomes[LENGTH].status == "skipped"


def test_a_timeout_that_happens_again_is_a_timeout() -> None:
    outcomes = graded(SOLUTION, connect=through(ending("timeout")))
    assert (outcomes[FINDS].status, outcomes[FINDS].reason, outcomes[FINDS].earned) == ("timeout", "it ended", 0)
    assert outcomes[READS].status == "skipped"


def test_the_third_timeout_ends_the_run_with_what_it_has() -> None:
    asked: list[str] = []

    class Slow(LocalConnection):
        def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
            if not isinstance(question.operation, wire.Load | wire.Get):
                asked.append("call")
                raise Ended("timeout", "it is late")
            return super().exchange(question, buffers, seconds)

    outcomes = graded(SOLUTION, connect=lambda limits: Slow())
    assert [outcome.status for outcome in outcomes.values()] == ["timeout"] * 3 + ["skipped"] * 4
    assert len(asked) == MAX_TIMEOUTS == 3
    assert outcomes[LENGTH].reason.startswith("not run")


def test_a_test_that_failed_has_failed_also_where_time_runs_out_while_it_shrinks() -> None:
    wrong: list[wire.Question] = []

    def end_after_a_wrong_answer(
        question: wire.Question, reply: wire.Reply, body: bytearray
    ) -> tuple[wire.Reply, bytearray]:
        if wrong:
            raise Ended("timeout", "it is late")
        wrong.append(question)
        return reply, body

    always_wrong = edited(("return found", "return found + found + [(0, 1)]"))
    outcome = graded(always_wrong, connect=through(end_after_a_wrong_answer))[FINDS]
    assert (outcome.status, outcome.earned) == ("failed", 0)
    assert len(outcome.calls) == 1


def test_an_import_that_is_late_once_is_tried_again() -> None:
    class Slow(LocalConnection):
        def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
            if isinstance(question.operation, wire.Load) and seconds < 5:
                raise Ended("timeout", "it is late")
            return super().exchange(question, buffers, seconds)

    assert earned(graded(SOLUTION, connect=lambda limits: Slow())) == 100


FORGED = "ALL TESTS PASSED\n100 of 100"


@pytest.mark.parametrize(
    ("outcome", "sizes", "status"),
    [
        (wire.Answer(wire.TargetNode(2**63, "", "list")), [], "crashed"),
        (wire.Answer(wire.TargetNode(-7, "", "list")), [], "crashed"),
        (wire.Answer(wire.TargetNode(0, "a\nimport os", "list")), [], "crashed"),
        (wire.Answer(wire.TargetNode(0, "", "list")), [], "failed"),
        (wire.Answer(wire.SeedNode("torch", 1)), [], "crashed"),
        (wire.Answer(wire.GivenNode("streams.Counted")), [], "crashed"),
        (wire.Answer(wire.TensorNode("float32", [9], 0)), [0], "crashed"),
        (wire.Answer(wire.BytesNode(b"")), [1], "crashed"),
        (wire.Answer(True), [], "failed"),
        (wire.Answer(FORGED), [], "failed"),
        (wire.Raised([FORGED, "NotImplementedError"], FORGED, []), [], "failed"),
        (wire.Raised([], FORGED, []), [], "failed"),
        (wire.Raised(["E"] * 99, FORGED, [wire.TraceLine(-1, FORGED, FORGED)] * 99), [], "failed"),
        (wire.Missing(FORGED), [], "failed"),
        (wire.Missing(""), [], "failed"),
    ],
    ids=repr,
)
def test_a_reply_that_lies_is_a_crash_or_a_wrong_answer(outcome: Any, sizes: list[int], status: str) -> None:
    def lie(question: wire.Question, reply: wire.Reply, body: bytearray) -> tuple[wire.Reply, bytearray]:
        return wire.Reply(question.nonce, outcome, sizes), bytearray()

    outcomes = graded(SOLUTION, connect=through(lie), only=[REFUSES, FINDS, LONG])
    assert [o.status for o in outcomes.values()] == ["passed", status, status]
    assert earned(outcomes) == 10
    if not isinstance(outcome, wire.Answer):
        assert "PASSED" not in shown(outcomes[FINDS])
    assert "\n" not in outcomes[FINDS].reason


def test_a_reason_that_a_worker_gives_is_one_line() -> None:
    def lie(question: wire.Question, reply: wire.Reply, body: bytearray) -> tuple[wire.Reply, bytearray]:
        return wire.Reply(question.nonce, wire.Unsendable(FORGED * 99), []), bytearray()

    outcome = graded(SOLUTION, connect=through(lie), only=[FINDS])[FINDS]
    assert outcome.status == "failed"
    assert outcome.reason.isprintable()
    assert len(outcome.reason) <= 300


def test_a_reply_to_another_question_is_a_crash() -> None:
    def stale(question: wire.Question, reply: wire.Reply, body: bytearray) -> tuple[wire.Reply, bytearray]:
        return wire.Reply(os.urandom(16), reply.outcome, reply.sizes), body

    outcomes = graded(SOLUTION, connect=through(stale), only=[FINDS])
    assert outcomes[FINDS].status == "crashed"
    assert "protocol" in outcomes[FINDS].reason


@pytest.mark.parametrize("outcome", [wire.Unsendable(FORGED), wire.Missing(FORGED), wire.Raised([FORGED], FORGED, [])])
def test_a_lie_about_the_import_fails_every_test(outcome: Any) -> None:
    class Liar(LocalConnection):
        def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
            if isinstance(question.operation, wire.Load):
                return wire.Reply(question.nonce, outcome, []), bytearray()
            return super().exchange(question, buffers, seconds)

    outcomes = graded(SOLUTION, connect=lambda limits: Liar())
    assert list(outcomes) == TESTS
    assert {o.status for o in outcomes.values()} == {"failed"}
    assert not any("PASSED" in shown(o) for o in outcomes.values())


def test_an_integer_of_thousands_of_digits_is_an_answer_like_any_other() -> None:
    outcome = graded(edited(("return sum(count for _, count in self.kept)", "return 10**4000")), only=[LENGTH])[LENGTH]
    assert outcome.status == "failed"
    assert outcome.returned.startswith("1000")


def test_a_submission_that_used_up_its_time_is_not_asked_again() -> None:
    session = Session(LocalConnection(), "toy", b"def f(): return 7", Limits(test_seconds=9))
    session._seconds_left = -3.0
    with pytest.raises(Ended, match="its calls in one test take longer than 9 s together"):
        Submission(session).f()


def test_large_answers_do_not_stay_in_the_judge() -> None:
    source = (
        "import torch\nBIG = torch.zeros(9 << 20, dtype=torch.uint8)\ndef big(): return BIG\ndef small(): return 7\n"
    )
    session = Session(LocalConnection(), "toy", source.encode(), Limits())
    submission = Submission(session)
    submission.small()
    for _ in range(5):
        submission.big()
    submission.small()
    assert [(e.target.path, e.error, e.result is None) for e in session.exchanges] == [
        ("small", "", False),
        ("big", "", False),
        *[("big", "the answer was too large to keep", True)] * 4,
        ("small", "", False),
    ]
    assert sum(weight(e.result) for e in session.exchanges) < MAX_KEPT_BYTES
    session.begin_example()
    submission.big()
    assert session.exchanges[0].result is not None


def test_a_call_whose_answer_was_too_large_to_keep_is_shown_all_the_same() -> None:
    outcome = graded(edited(("return found", "return torch.zeros(17 << 20, dtype=torch.uint8)")), only=[FINDS])[FINDS]
    assert outcome.status == "failed"
    assert outcome.calls == ["runs('')"]
    assert outcome.returned.startswith("tensor of shape (17825792,)")


def test_what_is_said_of_a_failure_is_bounded_whatever_came_back(tmp_path: Path) -> None:
    edit = ("checks.equal(toy.runs(text), runs_of(text))", "assert toy.runs(toy.runs(text)) == {}[toy.runs(text)]")
    course = copied(tmp_path, edit)
    outcome = graded(edited(("return found", "return 'x' * 500000")), course=course, only=[FINDS])[FINDS]
    assert outcome.status != "passed"
    assert outcome.snippet == ""
    assert len(msgspec.json.encode(outcome)) < 20_000


# --- text that the submission made


@pytest.mark.parametrize(
    "edit",
    [
        ("return found", "print('the hidden input is', text)\n    return []"),
        ("return found", "raise ValueError('the hidden input is ' + text)"),
        ("return found", "raise type('the hidden input is ' + text, (Exception,), {})"),
        ("return found", "import warnings; warnings.warn('the hidden input is')\n    return []"),
        ("return found", "import sys; sys.stderr.write('the hidden input is')\n    return []"),
        ("return found", "import logging; logging.error('the hidden input is')\n    return []"),
        ("return found", "getattr(torch, 'the hidden input is')"),
    ],
    ids=lambda edit: edit[1][:20],
)
def test_what_a_submission_prints_or_says_is_not_shown(
    edit: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = graded(edited(edit), only=[FINDS])[FINDS]
    assert outcome.status == "failed"
    assert "hidden" not in shown(outcome)
    assert "hidden" not in capfd.readouterr().out


# --- the snippet

RUN_SNIPPETS = """
import pickle, sys
printed = []
for folder in sys.argv[1:]:
    sys.path[0] = folder
    sys.modules.pop("toy", None)
    seen = []
    exec(open(folder + "/snippet.py").read(), {"print": seen.append})
    printed.append(seen)
sys.stdout.buffer.write(pickle.dumps(printed))
"""
LATE = "    if window < 1:\n        raise ValueError"


def test_a_snippet_shows_the_failure_with_the_students_file_alone(tmp_path: Path) -> None:
    cases: list[tuple[str, str, Callable[[Any], Any]]] = [
        (DIVIDES, MEANS, lambda printed: printed),
        (edited((AVERAGE, f"means = [{MEAN} + (x.numel() > 24) for t in steps]")), MEANS, lambda printed: printed),
        (NEVER_JOINS, READS, lambda printed: printed),
        (edited(("return found", "return found[:-1]")), FINDS, lambda printed: printed),
        (edited(("count + 1", "min(50, count + 1)")), LONG, lambda printed: printed[0]),
        (edited(("return torch.stack(means, dim=-1)", "return 2 * x")), GRADIENT, lambda printed: printed[0]),
        (
            edited(("return sum(count for _, count in self.kept)", "return len(self.kept)")),
            LENGTH,
            lambda printed: printed,
        ),
    ]
    returned = []
    for number, (source, test, _) in enumerate(cases):
        outcome = graded(source, only=[test])[test]
        assert outcome.status == "failed"
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "toy.py").write_text(source, encoding="utf-8")
        (folder / "snippet.py").write_text(outcome.snippet, encoding="utf-8")
        returned.append(outcome.returned)
    folders = [str(tmp_path / str(number)) for number in range(len(cases))]
    program = subprocess.run([sys.executable, "-c", RUN_SNIPPETS, *folders], check=True, capture_output=True)
    for (_, _, compared), printed, expected in zip(cases, pickle.loads(program.stdout), returned):
        (value,) = printed
        assert brief(compared(value)) == expected


def test_a_large_input_is_packed_into_its_snippet() -> None:
    x = torch.randn(300, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for value in (x, x.bfloat16(), x > 0, torch.stack([x, x], -1)[..., 0], x.reshape(3, 100).mT):
        again = eval(literal(value), {"torch": torch, "zlib": zlib, "base64": base64})
        checks.equal(again, value)
        assert again.is_contiguous() == value.is_contiguous()


@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=4),
            st.sampled_from([torch.float32, torch.tensor([inf, -inf, nan]), torch.empty(0, 2), torch.tensor(True)]),
            st.sampled_from([numpy.array([[1, 2]], numpy.uint16), numpy.array([nan]), numpy.array(2.5, numpy.float32)]),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.text(max_size=2), inner, max_size=2), st.frozensets(st.integers(), max_size=2),
        ),
    )
)  # fmt: skip
def test_a_literal_is_python_for_the_value(value: Any) -> None:
    again = eval(literal(value), {"torch": torch, "numpy": numpy})
    checks.equal([again], [value])
