"""Public tests of `toy`: the examples of the handout and one simple property a part."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Wrong, checks, part


@part("moving_average")
@settings(max_examples=10)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=5))
def test_a_window_of_one_changes_nothing(toy, entries):
    """A moving average over a window of 1 is its input."""
    x = torch.tensor(entries, dtype=torch.float64)
    checks.close(toy.moving_average(x, 1), x)


@part("moving_average")
def test_average_of_the_handout(toy):
    """moving_average([2, 4, 6], 2) is [2, 3, 5]."""
    x = torch.tensor([2.0, 4.0, 6.0], dtype=torch.float64)
    checks.close(toy.moving_average(x, 2), torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64))


@part("runs")
def test_runs_of_the_handout(toy):
    """runs("aab") is [("a", 2), ("b", 1)]."""
    checks.equal(toy.runs("aab"), [("a", 2), ("b", 1)])


@part("tape")
def test_a_tape_gives_back_what_was_written(toy):
    """After `write("ab")`, `erase()` is "b", and the tape reads as the one run that is left."""
    tape = toy.Tape()
    tape.write("ab")
    checks.equal(tape.erase(), "b")
    checks.equal(tape.read(), [("a", 1)])


def _divided_by_the_window(x, window):
    return torch.stack([x[..., max(0, t + 1 - window) : t + 1].sum(-1) / window for t in range(x.shape[-1])], -1)


WRONG = [
    Wrong(
        "divides_by_the_window",
        function="moving_average",
        formula=_divided_by_the_window,
        hint="The first entries are divided by `window`, though fewer entries were summed.",
    ),
    Wrong(
        "forgets_the_last_run",
        function="runs",
        formula=lambda text: [(c, text.count(c)) for c in dict.fromkeys(text)][:-1],
        hint="The last run is missing.",
    ),
]
