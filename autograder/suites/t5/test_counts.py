"""noise_counts: the two numbers that are not random."""

from __future__ import annotations

import itertools

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.t5.strategies import DENSITIES, MEANS, counts

NAME = "noise_counts"


# Where the number of spans is another one if it is taken from length * density before that is rounded.
UNEVEN = [
    (length, density, mean)
    for length, density, mean in itertools.product(
        range(4, 80), (0.1, 0.15, 0.2, 0.3, 0.35, 0.4, 0.6), (1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
    )
    if counts(length, density, mean)[1] != max(round(length * density / mean), 1)
]


@part(NAME, points=2)
@settings(max_examples=120)
@given(st.one_of(st.tuples(st.integers(2, 200), DENSITIES, MEANS), st.sampled_from(UNEVEN)))
def test_counts_are_those_of_the_definition(t5, case):
    """For any length, density and mean span length, not only T5's, the counts are those of the definition."""
    length, density, mean = case
    checks.equal(t5.noise_counts(length, density, mean), counts(length, density, mean))
    if density == 0.15 and mean == 3.0:
        checks.equal(t5.noise_counts(length), counts(length, density, mean))


@part(NAME, points=1)
@given(st.integers(1, 60), st.sampled_from([0.25, 0.5, 0.125, 0.75]), st.sampled_from([2.0, 4.0, 1.25, 2.5]))
def test_halves_go_to_the_even_number(t5, k, density, mean):
    """Where length * density or n / mean lies halfway between two whole numbers, the even one is taken."""
    length = 2 * k
    n = round(length * density)
    assume((length * density) % 1 == 0.5 or (n / mean) % 1 == 0.5)
    checks.equal(t5.noise_counts(length, density, mean), counts(length, density, mean))
    # Products that float32 rounds to the other side of a half, or onto one.
    for length, density in ((45, 0.7), (50, 0.59), (75, 0.14), (90, 0.35), (95, 0.3), (30, 0.15)):
        checks.equal(t5.noise_counts(length, density, 1.0), counts(length, density, 1.0))


@part(NAME, points=1)
@given(st.integers(2, 12), st.sampled_from([1e-6, 0.01, 0.04, 0.97, 0.999, 1.0]), MEANS)
def test_some_noise_and_some_text_always_remain(t5, length, density, mean):
    """However extreme the density, at least one token is noise, at least one is not, and there is at least one span."""
    returned = t5.noise_counts(length, density, mean)
    checks.equal(returned, counts(length, density, mean))


@part(NAME, points=1)
@given(
    st.integers(2, 40),
    st.sampled_from([0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9]),
    st.sampled_from([0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0]),
)
def test_spans_fit_between_the_other_tokens(t5, length, density, mean):
    """There are never more spans than noise tokens, and never more than tokens that are not noise: each span follows
    one.
    """
    n, s = counts(length, density, mean)
    assume(s < max(round(n / mean), 1))
    checks.equal(t5.noise_counts(length, density, mean), (n, s))


@part(NAME, points=1)
@given(st.sampled_from([(0, 0.5), (1, 0.5), (1, 0.15), (0, 0.0), (9, 0.0), (2, 0.0), (30, 0.0)]), MEANS)
def test_nothing_to_do(t5, case, mean):
    """A text of no token or one, and a density of exactly 0, have no noise and no span; two tokens have one of each."""
    checks.equal(t5.noise_counts(*case, mean), (0, 0))
    checks.equal(t5.noise_counts(2, 0.5, mean), (1, 1))
