"""t5_lengths: as many tokens as fit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.t5.strategies import MEANS, counts

NAME = "t5_lengths"
DENSITIES = st.one_of(st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.75, 0.8]), st.floats(0.01, 0.8))


def sides(tokens_length: int, density: float, mean: float) -> tuple[int, int]:
    """The lengths of inputs and targets, each with its EOS."""
    n, s = counts(tokens_length, density, mean)
    return tokens_length - n + s + 1, n + s + 1


def planned(inputs_length: int, density: float, mean: float) -> tuple[int, int]:
    best = max(n for n in range(1, 8 * inputs_length + 8) if sides(n, density, mean)[0] <= inputs_length)
    if density == 0.5 and sides(best, density, mean)[1] > inputs_length:
        best -= 1
    return best, sides(best, density, mean)[1]


@part(NAME, points=2)
@settings(max_examples=60)
@given(st.integers(2, 70), DENSITIES, MEANS)
def test_as_many_tokens_as_fit(t5, inputs_length, density, mean):
    """tokens_length is the largest number whose inputs, sentinels and EOS counted, fit; targets_length is exactly their
    targets'.
    """
    checks.equal(t5.t5_lengths(inputs_length, density, mean), planned(inputs_length, density, mean))


@part(NAME, points=1)
@given(st.integers(3, 80), MEANS)
def test_at_half_density_the_targets_fit_too(t5, inputs_length, mean):
    """At a density of exactly 0.5, one token fewer is taken where the targets would be longer than inputs_length."""
    checks.equal(t5.t5_lengths(inputs_length, 0.5, mean), planned(inputs_length, 0.5, mean))


@part(NAME, points=1)
@given(st.sampled_from([((512, 0.15, 3.0), (568, 114)), ((64, 0.2, 2.0), (70, 22)), ((64, 0.2, 1.0), (63, 27))]))
def test_known_lengths(t5, case):
    """T5's own setting gives (568, 114) for inputs of 512; two other settings that are known give what they should."""
    arguments, expected = case
    checks.equal(t5.t5_lengths(*arguments), expected)
    checks.equal(t5.t5_lengths(512), (568, 114))
