"""bootstrap_ci: percentile intervals of statistics that the package gives."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.scaling.strategies import normal
from autograder.wire import Given, TorchSeed

NAME = "bootstrap_ci"
MEANS, LARGEST, GAPS = (Given(f"statistics.{name}") for name in ("means", "largest", "largest_gaps"))
STANDARD = {0.5: 0.6745, 0.9: 1.6449, 0.95: 1.9600}  # quantiles of the normal distribution


@part(NAME, points=2)
@settings(max_examples=3)
@given(draws.seeds(), st.sampled_from([-3.0, 1.0, 100.0]))
def test_two_rows_have_three_means(scaling, seed, shift):
    """Of two rows 0 and 2 the mean is 0, 1 or 2, a quarter, half and a quarter of the time: so are the quantiles.

    Of 8,000 resamples 2,000 have mean 0, give or take 39; the quantiles asked for lie 400 and more from a step, which
    is 10 standard deviations: one alarm in 1e22. Quantiles at twice or half of (1 - level) / 2 lie beyond the step.
    """
    data = shift + torch.tensor([0.0, 2.0], dtype=torch.float64)
    for level, low, high in ((0.6, 0.0, 2.0), (0.4, 1.0, 1.0), (0.95, 0.0, 2.0)):
        found = scaling.bootstrap_ci(MEANS, data, n_boot=8000, level=level, generator=TorchSeed(seed))
        expected = tuple(torch.tensor(shift + end, dtype=torch.float64) for end in (low, high))
        checks.close(found, expected, atol=1e-12)


@part(NAME, points=1)
@settings(max_examples=3)
@given(st.integers(0, 2), draws.seeds())
def test_the_interval_of_a_mean_is_the_normal_one(scaling, which, seed):
    """Of the mean of 200 numbers it is the mean -+ z standard deviations / sqrt(200), z the normal quantile.

    A quantile of 20,000 resamples strays by 0.019 standard errors at level 0.95 (less at others); 0.2 is 7 times that
    and what skewness adds. Half or twice the rows in a resample move the ends by 0.28 z and more.
    """
    level = list(STANDARD)[which]
    data = normal(200, seed)
    low, high = scaling.bootstrap_ci(MEANS, data, n_boot=20_000, level=level, generator=TorchSeed(seed + 1))
    error = float(data.std(correction=0)) / math.sqrt(200)
    expected = torch.tensor([-STANDARD[level], STANDARD[level]], dtype=torch.float64) * error + data.mean()
    checks.close((low, high), tuple(expected.unbind()), rtol=0.0, atol=0.2 * error)


@part(NAME, points=1)
@settings(max_examples=10)
@given(st.integers(2, 12), draws.seeds())
def test_rows_are_drawn_whole(scaling, n, seed):
    """A row stays together: where x = y in every row of the data, it is so in every row of every resample."""
    x = normal(n, seed)
    found = scaling.bootstrap_ci(GAPS, torch.stack([x, x], dim=-1), n_boot=100, generator=TorchSeed(seed))
    zero = torch.tensor(0.0, dtype=torch.float64)
    checks.close(found, (zero, zero))
    shifted = scaling.bootstrap_ci(GAPS, torch.stack([x, x + 3], dim=-1), n_boot=100, generator=TorchSeed(seed))
    checks.close(shifted, (zero + 3, zero + 3))


@part(NAME, points=1)
@settings(max_examples=5)
@given(draws.seeds())
def test_resamples_repeat_rows(scaling, seed):
    """Rows are drawn with replacement: of 1,000 resamples of 1, ..., 40 some 37 per cent lack the 40, and none has 41.

    The share without it is 0.9875^... = 0.363; the quantile 0.25 of the largest row is at most 39 and the quantile 0.75
    is 40, each 7 standard deviations from the other side.
    """
    data = torch.arange(1, 41).double()
    low, high = scaling.bootstrap_ci(LARGEST, data, n_boot=1000, level=0.5, generator=TorchSeed(seed))
    checks.tensor(low, shape=(), dtype=torch.float64)
    checks.holds(bool(low <= 39) and bool(low >= 30), "the lower end is below the largest row", low)
    checks.close(high, torch.tensor(40.0, dtype=torch.float64))


@part(NAME, points=1)
@settings(max_examples=10)
@given(st.integers(1, 6), st.integers(1, 3), draws.seeds())
def test_the_same_generator_gives_the_same_interval(scaling, n, width, seed):
    """All chance comes from the generator; a statistic with several numbers has an interval for each."""
    data = torch.stack([normal(n, seed + i) for i in range(width)], dim=-1)
    once = scaling.bootstrap_ci(MEANS, data, n_boot=50, generator=TorchSeed(seed))
    again = scaling.bootstrap_ci(MEANS, data, n_boot=50, generator=TorchSeed(seed))
    checks.equal(again, once)
    low, high = once
    checks.tensor(low, shape=(width,), dtype=torch.float64)
    checks.tensor(high, shape=(width,), dtype=torch.float64)
    checks.holds(bool((data.amin(0) - 1e-9 <= low).all() and (low <= high).all()), "the ends are in order", once)
    checks.holds(bool((high <= data.amax(0) + 1e-9).all()), "a mean is no larger than the largest row", high)
    if n > 1:
        checks.holds(bool((low < high).all()), "different rows have different means", once)
