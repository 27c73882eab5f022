"""bootstrap_chinchilla."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.judge.suite import reference
from autograder.suites.scaling.strategies import (
    FIELDS,
    a_ladder,
    chinchilla,
    ladders,
    laws,
    normal,
    read_many,
)
from autograder.wire import TorchSeed

NAME = "bootstrap_chinchilla"
LAW = (400.0, 2000.0, 1.8, 0.34, 0.37)


@part(NAME, points=2)
@settings(max_examples=5)
@given(laws(), ladders(min_runs=25), st.sampled_from([1, 2, 30]), draws.seeds())
def test_without_noise_every_resample_gives_the_law(scaling, values, runs, n_boot, seed):
    """Where a law makes the losses without noise, each of the n_boot fits predicts them, from a start that is off."""
    N, D = runs
    off = tuple(value * (1 + 0.02 * step) for value, step in zip(values, normal(5, seed).tolist(), strict=True))
    fits = scaling.bootstrap_chinchilla(
        N, D, chinchilla(N, D, values), scaling.ScalingFit(*off), n_boot, generator=TorchSeed(seed)
    )
    found = tuple(value[:, None] for value in read_many(fits, n_boot))
    expected = chinchilla(N, D, values).expand(n_boot, -1).clone()
    checks.close(chinchilla(N, D, found), expected, rtol=1e-3)


@part(NAME, points=3)
@settings(max_examples=1)
@given(draws.seeds())
def test_predictions_spread_as_much_as_resamples_do(scaling, seed):
    """The standard deviation of 2,000 resamples' predictions, amid the runs, is that of runs drawn with replacement.

    At a kurtosis of 4 both standard deviations stray by 1.9 per cent, their ratio by 2.7: 22 per cent is 8 times
    that. Half or twice the runs, or weights squared, move it by 29 per cent and more.
    """
    N, D = a_ladder(24, 5)
    L = chinchilla(N, D, LAW) * (0.02 * normal(24, 6)).exp()
    ours = reference("scaling")
    fit = ours.fit_chinchilla(N, D, L, delta=0.1)
    middle = torch.tensor(3e7, dtype=torch.float64), torch.tensor(3e9, dtype=torch.float64)
    source = torch.Generator().manual_seed(7)
    known = ours.bootstrap_chinchilla(N, D, L, fit, 2000, delta=0.1, generator=source)
    expected = float(chinchilla(*middle, tuple(getattr(known, name) for name in FIELDS)).std())
    values = tuple(getattr(fit, name) for name in FIELDS)
    fits = scaling.bootstrap_chinchilla(
        N, D, L, scaling.ScalingFit(*values), 2000, delta=0.1, generator=TorchSeed(seed)
    )
    found = float(chinchilla(*middle, read_many(fits, 2000)).std())
    checks.holds(abs(found / expected - 1) < 0.22, "predictions spread as those of resamples", found, expected)


@part(NAME, points=1)
@settings(max_examples=3)
@given(draws.seeds())
def test_the_same_generator_gives_the_same_fits(scaling, seed):
    """All chance comes from the generator: the same state gives the same fits, another state others."""
    N, D = a_ladder(24, 5)
    L = chinchilla(N, D, LAW) * (0.02 * normal(24, 6)).exp()
    fit = scaling.ScalingFit(*LAW)
    once, again, other = (
        read_many(scaling.bootstrap_chinchilla(N, D, L, fit, 20, generator=TorchSeed(s)), 20)
        for s in (seed, seed, seed + 1)
    )
    checks.equal(again, once)
    checks.holds(not torch.equal(other[4], once[4]), "another state gives other fits", other[4])
    checks.holds(float(once[4].std()) > 0, "resamples differ from one another", once[4])
    checks.close(chinchilla(N[:1], D[:1], once), chinchilla(N[:1], D[:1], LAW).expand(20).clone(), rtol=0.2)
