"""A moving average, runs of text, and a tape that is kept as runs."""

from __future__ import annotations

from itertools import groupby

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from autograder.judge import checks, draws, part, raises, state_machine

LETTERS = "aAb ß"


def average(x: torch.Tensor, window: int) -> torch.Tensor:
    """The same by one product with a band of ones."""
    time = torch.arange(x.shape[-1])
    lag = time[:, None] - time
    band = ((lag >= 0) & (lag < window)).to(x.dtype)
    return x @ (band / band.sum(-1, keepdim=True)).mT


def runs_of(text: str) -> list[tuple[str, int]]:
    return [(character, len(list(group))) for character, group in groupby(text)]


# --- moving_average


@part("moving_average", points=20)
@settings(max_examples=30)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=2, max_side=7)), st.integers(1, 6))
def test_is_the_mean_of_the_last_entries(toy, x, window):
    """Each entry is the mean of the last `window` entries of its row, fewer at the beginning."""
    checks.agrees(toy.moving_average(x, window), lambda x: average(x, window), x)


@part("moving_average", points=10)
@settings(max_examples=15)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=2), dtype=torch.float64), st.integers(-2, 0))
def test_refuses_a_window_of_nothing(toy, x, window):
    """A window below 1 raises ValueError, and the input is left as it was."""
    with raises("ValueError"):
        toy.moving_average(x, window=window)


@part("moving_average", points=10)
@settings(max_examples=10)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=2), dtype=torch.float64, elements="small_ints"))
def test_carries_a_gradient(toy, x):
    """The gradient of the sum over a window of 1 is one everywhere."""
    _, (gradient,) = toy.vjp(toy.moving_average, x, 1, cotangent=torch.ones_like(x), wrt=[0])
    checks.close(gradient, torch.ones_like(x), rtol=1e-9)


# --- runs


@part("runs", points=20)
@settings(max_examples=30)
@given(st.text(LETTERS, max_size=12))
def test_finds_every_run(toy, text):
    """runs(text) lists each run of equal characters with its length, in order."""
    checks.equal(toy.runs(text), runs_of(text))


@part("runs", points=10)
@settings(max_examples=10)
@given(st.sampled_from(LETTERS), st.integers(60, 200))
def test_counts_long_runs(toy, character, count):
    """A run may be long."""
    checks.equal(toy.runs(character * count), [(character, count)])


# --- tape


@part("tape", points=20)
def test_a_tape_reads_as_what_was_written(toy):
    """Whatever is written and erased, a tape reads as the runs of the text that is left."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.tape, self.text = toy.Tape(), ""

        @rule(text=st.text("aA", min_size=1, max_size=4))
        def write(self, text):
            self.tape.write(text)
            self.text += text

        @rule()
        def erase(self):
            if not self.text:
                with raises("IndexError"):
                    self.tape.erase()
                return
            checks.equal(self.tape.erase(), self.text[-1])
            self.text = self.text[:-1]

        @invariant()
        def reads(self):
            checks.equal(self.tape.read(), runs_of(self.text))

    state_machine(Machine, max_examples=20, steps=6)


@part("tape", points=10)
@settings(max_examples=10)
@given(st.lists(st.text(LETTERS, max_size=4), max_size=4))
def test_a_tape_knows_its_length(toy, texts):
    """The length of a tape is the number of characters written on it."""
    tape = toy.Tape()
    for text in texts:
        tape.write(text)
    checks.equal(tape.length(), sum(map(len, texts)))
