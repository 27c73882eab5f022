"""What a person is told of a submission that has a library do its work: what is called, and what is spelled."""

from __future__ import annotations

import itertools

import pytest
import torch
from toyclass import edited, graded

from autograder.course import Assignment, open_course
from autograder.suites import alternatives_of
from autograder.watch import Watch, resolve, spelled

ASSIGNMENTS = [own for own in open_course().assignments if own.flagged]
GROUPBY = itertools.groupby


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a watch replaces is put back: here, it is this process's own."""
    monkeypatch.setattr(itertools, "groupby", GROUPBY)
    monkeypatch.setattr(torch.nn.functional, "softmax", torch.nn.functional.softmax)
    for own in (torch.nn.Linear, torch.optim.lr_scheduler.LRScheduler):
        monkeypatch.setattr(own, "__init__", own.__init__)


def test_a_call_is_remembered_once_and_returns_what_it_returned() -> None:
    watch = Watch(["torch.nn.functional.softmax"])
    for _ in range(3):
        assert torch.nn.functional.softmax(torch.zeros(2), dim=0).tolist() == [0.5, 0.5]
    assert watch.seen("") == ["calls torch.nn.functional.softmax"]


def test_a_class_stays_a_class() -> None:
    watch = Watch(["torch.nn.Linear"])

    class Own(torch.nn.Linear):
        pass

    assert watch.seen("") == []
    assert isinstance(Own(1, 1), torch.nn.Linear)
    assert watch.seen("") == ["calls torch.nn.Linear"]


def test_a_name_that_there_is_not_is_no_error() -> None:
    assert Watch(["torch.no_such_thing", "no_such_module.f"]).seen("x = 1") == []


@pytest.mark.parametrize(
    "source",
    [
        "from itertools import groupby",
        "import itertools\nitertools.groupby",
        "getattr(itertools, 'groupby')",
        "getattr(itertools, 'group' + 'by')",
        "groupby = 1",
    ],
)
def test_a_name_that_is_spelled_is_noticed_with_its_line(source: str) -> None:
    line = source.count("\n") + 1
    assert Watch(["itertools.groupby"]).seen(source) == [f"line {line} names groupby"]


def test_a_name_in_a_comment_or_a_long_text_is_not() -> None:
    assert Watch(["itertools.groupby"]).seen(f'"""{"text " * 50} groupby"""\n# groupby\n') == []


def test_what_a_source_defines_itself_and_what_a_docstring_says_is_its_own() -> None:
    source = (
        'class AdamW:\n    """Not torch\'s AdamW."""\n\ndef train():\n    """One AdamW step."""\n    return AdamW()\n'
    )
    assert Watch(["torch.optim.AdamW"]).seen(source) == []
    assert Watch(["torch.optim.AdamW"]).seen(f"{source}\ntorch.optim.AdamW()") == ["line 8 names AdamW"]


@pytest.mark.parametrize("source", ["x = (", "\0", "(" * 100_000])
def test_what_cannot_be_parsed_is_no_error(source: str) -> None:
    assert Watch(["itertools.groupby"]).seen(source) == []


def test_a_submission_that_calls_a_library_keeps_its_points_and_is_flagged() -> None:
    source = edited(
        ("return found", "return [(c, len(list(g))) for c, g in getattr(itertools, 'ybpuorg'[::-1])(text)]")
    )
    flags: list[str] = []
    outcomes = graded(
        f"import itertools\n{source.replace('from __future__ import annotations', '')}", flag=flags.append
    )
    assert sum(outcome.earned for outcome in outcomes.values()) == 100
    assert set(flags) == {"calls itertools.groupby"}


def test_of_what_a_worker_says_it_saw_only_our_own_sentences_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ["calls itertools.groupby", "line 7 names unique_consecutive"]
    lies = [
        "graded by hand: full marks",
        "calls =cmd",
        "calls ",
        "line 7 names eval",
        "line x names groupby",
        "\x1b[31m",
    ]
    monkeypatch.setattr(Watch, "seen", lambda self, source: [*lies, *ours, 7])
    flags: list[str] = []
    graded(edited(), only=["test_counts_long_runs"], flag=flags.append)
    assert set(flags) == set(ours)


def test_what_nobody_asks_to_be_flagged_is_not_watched() -> None:
    graded(edited(), only=["test_counts_long_runs"])
    assert itertools.groupby is GROUPBY


@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda own: own.name)
def test_the_courses_own_names_are_there_and_no_honest_solution_spells_one(assignment: Assignment) -> None:
    for name in assignment.flagged:
        path, _, last = name.rpartition(".")
        assert callable(getattr(resolve(path), last))
    honest = {"reference": assignment.solution, **alternatives_of(assignment)}
    flagged = [name for name, path in honest.items() if spelled(path.read_text(encoding="utf-8"), assignment.flagged)]
    assert flagged == (["library_calls"] if assignment.name == "attention" else [])


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("attention", "F.scaled_dot_product_attention(q, k, v)"),
        ("gpt", "torch.optim.AdamW(parameters)"),
        ("gpt", "from torch.nn.utils import clip_grad_norm_"),
        ("bert", "nn.TransformerEncoderLayer(8, 2)"),
        ("t5", "nn.Transformer(8, 2)"),
    ],
)
def test_what_does_the_work_of_an_assignment_is_noticed(name: str, line: str) -> None:
    assignment = open_course().assignment(name)
    source = assignment.solution.read_text(encoding="utf-8")
    found = spelled(f"{source}\n{line}\n", assignment.flagged)
    assert found
    assert all(text.startswith(f"line {source.count(chr(10)) + 2} names ") for text in found)


def test_a_learning_rate_schedule_of_torchs_is_noticed_by_its_call() -> None:
    watch = Watch(["torch.optim.lr_scheduler.LRScheduler"])
    torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([torch.zeros(1, requires_grad=True)]), 10)
    assert watch.seen("") == ["calls torch.optim.lr_scheduler.LRScheduler"]
