"""Diagnosis: a mistake is named where a planted bug answers everything as the submission did, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toyclass import COURSE, MEAN, SOLUTION, copied, edited, graded, toy

from autograder.course import Limits
from autograder.diagnosis import Diagnosis
from autograder.judge import Wrong, misconceptions
from autograder.judge.session import LocalConnection
from autograder.judge.suite import load
from autograder.judge.trial import Trial
from autograder.likeness import alike
from autograder.suites import bugs_of
from autograder.wire import Target

MEANS, FINDS, READS, LENGTH = (
    "test_is_the_mean_of_the_last_entries",
    "test_finds_every_run",
    "test_a_tape_reads_as_what_was_written",
    "test_a_tape_knows_its_length",
)
BUGS = {bug.name: bug for bug in bugs_of(toy())}
RUNS = "    found: list[tuple[str, int]] = []"


@pytest.fixture(autouse=True)
def _as_in_a_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def connect(limits: Limits) -> LocalConnection:
    return LocalConnection()


def diagnosed(source: str, test: str, course: Path = COURSE, **more: Any) -> tuple[str, str]:
    """The hint and its evidence for a submission that fails a test."""
    own = toy(course)
    outcome = graded(source, course=course, only=[test], diagnose=Diagnosis(own, connect, own.limits).name, **more)[
        test
    ]
    assert outcome.status == "failed"
    return outcome.hint, outcome.hint_evidence


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_recognised(name: str) -> None:
    bug = BUGS[name]
    hint, evidence = diagnosed(bug.plant(SOLUTION), bug.killed_by)
    assert hint == bug.hint
    assert evidence.startswith("A solution with this mistake returns the same on ")


def test_the_same_mistake_in_other_words_is_recognised() -> None:
    source = edited((MEAN, "sum(x[..., s] for s in range(max(0, t + 1 - window), t + 1)) / window"))
    hint, evidence = diagnosed(source, MEANS)
    assert hint == BUGS["divides_by_the_window"].hint
    assert "inputs that were compared" in evidence


def test_the_same_mistake_in_an_object_of_another_kind_is_recognised() -> None:
    other = (COURSE / "suites" / "toy" / "alternatives" / "cumulative_sums.py").read_text(encoding="utf-8")
    hint, _ = diagnosed(edited(("return len(self.text)", "return len(runs(self.text))"), source=other), LENGTH)
    assert hint == BUGS["counts_runs"].hint


@pytest.mark.parametrize(
    ("edit", "test"),
    [
        ((MEAN, MEAN + " + 1"), MEANS),
        ((MEAN, MEAN + " * 1.001"), MEANS),
        ((MEAN, "x[..., max(0, t + 1 - window) : t + 1].mean()"), MEANS),
        (("return found", "return found[1:]"), FINDS),
        (("return found", "raise ValueError"), FINDS),
        (("return found", "return None"), FINDS),
        (("return found", "return object()"), FINDS),
        (("def runs(", "def ruins("), FINDS),
        (("if count > 1:", "if count > 2:"), READS),
    ],
    ids=lambda value: value[1][:40] if isinstance(value, tuple) else None,
)
def test_an_unknown_mistake_is_given_no_name(edit: tuple[str, str], test: str) -> None:
    assert diagnosed(edited(edit), test) == ("", "")


def test_a_mistake_that_shares_only_the_smallest_failure_with_a_bug_is_given_no_name() -> None:
    # On one entry and a window of two it returns half of it, as `divides_by_the_window` does; on others not.
    source = edited((MEAN, "x[..., max(0, t + 1 - window) : t + 1].sum(-1) / (2 if t + 1 < window else window)"))
    assert diagnosed(source, MEANS) == ("", "")


def test_two_bugs_that_fit_with_different_hints_give_no_name(tmp_path: Path) -> None:
    twin = 'Bug("twin", part="runs", killed_by="test", edit=("return found", "return found[:-1]"), hint="Twin.")'
    course = copied(tmp_path, ("BUGS = [", f"BUGS = [\n    {twin},"), path="suites/toy/bugs.py")
    assert diagnosed(edited(("return found", "return found[:-1]")), FINDS, course) == ("", "")


def test_a_test_that_passes_has_no_hint() -> None:
    own = toy()
    outcomes = graded(SOLUTION, diagnose=Diagnosis(own, connect, own.limits).name)
    assert not any(outcome.hint for outcome in outcomes.values())


def test_a_test_that_the_judge_could_not_finish_has_no_hint(tmp_path: Path) -> None:
    course = copied(tmp_path, ("checks.equal(toy.runs(text), runs_of(text))", "checks.equal(toy.runs(text), 1 / 0)"))
    asked: list[str] = []

    def diagnose(part: str, trial: Trial) -> tuple[str, str]:
        asked.append(part)
        return "a hint", ""

    outcome = graded(SOLUTION, course=course, only=[FINDS], diagnose=diagnose)[FINDS]
    assert (outcome.status, outcome.hint, asked) == ("error", "", [])


# --- without the hidden suite

WRONGS = load(toy().public_tests).WRONG


def checked(source: str, wrongs: list[Wrong]) -> set[str]:
    outcomes = graded(source, suite="public", diagnose=lambda part, trial: misconceptions.name(wrongs, trial))
    return {outcome.hint for outcome in outcomes.values() if outcome.status == "failed"}


def test_a_named_wrong_formula_is_recognised_without_the_hidden_suite() -> None:
    assert checked(BUGS["divides_by_the_window"].plant(SOLUTION), WRONGS) == {WRONGS[0].hint}
    assert checked(BUGS["one_entry_too_many"].plant(SOLUTION), WRONGS) == {""}


def test_a_formula_that_raises_or_fits_beside_another_names_nothing() -> None:
    def raises(x: torch.Tensor, window: int) -> torch.Tensor:
        raise KeyError

    broken = Wrong("broken", function="moving_average", formula=raises, hint="Broken.")
    twin = Wrong("twin", function="moving_average", formula=WRONGS[0].formula, hint="Twin.")
    source = BUGS["divides_by_the_window"].plant(SOLUTION)
    assert checked(source, [broken]) == {""}
    assert checked(source, [*WRONGS, twin]) == {""}


# --- likeness


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (1, True),
        ("a", b"a"),
        ([1], (1,)),
        ([1], [1, 2]),
        ({"a": 1}, {"a": 2}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (0.5, 0.501),
        (float("nan"), 0.0),
        (float("inf"), float("-inf")),
        (torch.ones(2), torch.ones(2, 1)),
        (torch.ones(2), torch.ones(2).double()),
        (torch.ones(2), torch.tensor([1.0, 1.01])),
        (torch.ones(2), [1.0, 1.0]),
        (torch.tensor([float("nan")]), torch.tensor([0.0])),
        (torch.empty(0), torch.empty(0, 2)),
        (Target(0, "", "Tape"), Target(0, "", "Tap")),
        (Target(0, "read", "method"), Target(0, "write", "method")),
    ],
    ids=repr,
)
def test_different_answers_are_not_alike(a: Any, b: Any) -> None:
    assert not alike(a, b)
    assert not alike(b, a)
    assert alike(a, a)
    assert alike(b, b)


@pytest.mark.parametrize("shake", [lambda x: x * (1 + 1e-6), lambda x: x + 1e-7], ids=["relative", "absolute"])
def test_rounding_makes_no_difference(shake: Callable[[Any], Any]) -> None:
    x = torch.linspace(-3, 3, 7)
    assert alike(x, shake(x))
    assert alike(x.numpy(), shake(x).numpy())
    assert alike([0.3], [shake(0.3)])


def test_a_handle_stands_for_the_handle_of_the_other_conversation() -> None:
    handles: dict[int, int] = {}
    assert alike(Target(5, "", "Tape"), Target(2, "", "Tape"), handles)
    assert handles == {2: 5}
