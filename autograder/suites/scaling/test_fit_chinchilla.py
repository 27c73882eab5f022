"""fit_chinchilla: judged by its objective and its predictions, never by its coefficients."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.scaling.strategies import (
    a_ladder,
    as_theta,
    best,
    chinchilla,
    huber,
    ladders,
    laws,
    noisy_runs,
    normal,
    read,
)

NAME = "fit_chinchilla"
NEARLY = 1.001  # of the smallest objective: a minimiser that went on until nothing moved is far closer
NOTHING = 1e-10  # an objective of this size is a residual of one part in 100,000
FAR = torch.tensor([[25.0, 0.0, -1.0, 0.0, 2.0]], dtype=torch.float64)


@part(NAME, points=3)
@settings(max_examples=8)
@given(laws(), ladders())
def test_losses_without_noise_give_the_law_back(scaling, values, runs):
    """Losses that a law makes are predicted to one part in 10,000, also for ten times the parameters and tokens."""
    N, D = runs
    found = read(scaling.fit_chinchilla(N, D, chinchilla(N, D, values)))
    checks.close(chinchilla(N, D, found), chinchilla(N, D, values), rtol=1e-4)
    checks.close(chinchilla(10 * N, 10 * D, found), chinchilla(10 * N, 10 * D, values), rtol=1e-3)


@part(NAME, points=2)
@settings(max_examples=6)
@given(noisy_runs())
def test_the_fit_is_no_worse_than_the_truth(scaling, runs):
    """With noise the law behind the data is not the best fit to it: the fit's objective is no larger than the law's."""
    N, D, L, values = runs
    found = read(scaling.fit_chinchilla(N, D, L))
    truth = huber(chinchilla(N, D, values), L, 1e-3)
    reached = huber(chinchilla(N, D, found), L, 1e-3)
    checks.holds(reached <= truth + NOTHING, "the objective is at most that of the law behind the data", reached, truth)


@part(NAME, points=4)
@settings(max_examples=5)
@given(noisy_runs())
def test_the_fit_reaches_the_optimum(scaling, runs):
    """With noise the objective, with this delta, is within a thousandth of the smallest that can be reached."""
    N, D, L, _ = runs
    for delta in (1e-3, 0.1):
        reached = huber(chinchilla(N, D, read(scaling.fit_chinchilla(N, D, L, delta=delta))), L, delta)
        smallest = best(N, D, L, delta)
        checks.holds(reached <= smallest * NEARLY + NOTHING, "the objective is the smallest", reached, smallest)


@part(NAME, points=2)
@settings(max_examples=6)
@given(noisy_runs(), draws.seeds(), st.booleans())
def test_starts_that_are_given_are_used(scaling, runs, seed, first):
    """With `inits` the result is at least as good as the best of them, and near the optimum it is the optimum."""
    N, D, L, values = runs
    near = as_theta(values) * (1 + 0.03 * normal(5, seed))
    inits = torch.cat([near[None], FAR] if first else [FAR, near[None]])
    reached = huber(chinchilla(N, D, read(scaling.fit_chinchilla(N, D, L, inits=inits))), L, 1e-3)
    smallest = best(N, D, L, 1e-3)
    checks.holds(reached <= smallest * NEARLY + NOTHING, "the objective is the smallest", reached, smallest)


@part(NAME, points=2)
@settings(max_examples=5)
@given(laws(), ladders(min_runs=25), st.sampled_from([0.3, 1.5, 4.0]))
def test_a_wild_run_hardly_matters(scaling, values, runs, factor):
    """One run of 25 or more whose loss is far off moves no prediction by more than two parts in a thousand."""
    N, D = runs
    L = chinchilla(N, D, values)
    wild = L.clone()
    wild[len(L) // 2] *= factor
    found = read(scaling.fit_chinchilla(N, D, wild))
    checks.close(chinchilla(N, D, found), L, rtol=2e-3)


@part(NAME, points=1)
@settings(max_examples=4)
@given(laws(), draws.seeds(), st.sampled_from([1e-6, 1e-3, 12.0]), st.sampled_from([1e-9, 1e-6, 4.0]))
def test_units_and_order_do_not_matter(scaling, values, seed, n_unit, d_unit):
    """Parameters in millions or tokens in billions, and runs in another order, give the same predictions."""
    N, D = a_ladder(25, seed)
    L = chinchilla(N, D, values)
    order = torch.randperm(25, generator=torch.Generator().manual_seed(seed))
    found = read(scaling.fit_chinchilla((n_unit * N)[order], (d_unit * D)[order], L[order]))
    checks.close(chinchilla(n_unit * N, d_unit * D, found), L, rtol=1e-4)


@part(NAME, points=1)
@settings(max_examples=4)
@given(laws(), ladders(), st.sampled_from([0, 3, 5]))
def test_runs_in_single_precision_and_repeated_runs(scaling, values, runs, few):
    """Runs in float32 give the law back too, also where some of them are there twice."""
    N, D = (torch.cat([x, x[:few]]).float() for x in runs)
    L = chinchilla(N.double(), D.double(), values).float()
    found = read(scaling.fit_chinchilla(N, D, L))
    checks.close(chinchilla(N.double(), D.double(), found), L.double(), rtol=1e-4)


@part(NAME, points=1)
@settings(max_examples=3)
@given(laws(), ladders(), draws.seeds())
def test_the_fit_leaves_its_arguments_alone(scaling, values, runs, seed):
    """Runs and starts are as they were after the fit."""
    N, D = runs
    L = chinchilla(N, D, values)
    inits = as_theta(values) * (1 + 0.02 * normal(5, seed)) + torch.zeros(2, 1, dtype=torch.float64)
    fit, after, named = scaling.echo(scaling.fit_chinchilla, N, D, L, inits=inits)
    checks.close(chinchilla(N, D, read(fit)), L, rtol=1e-4)
    checks.equal(after, [N, D, L])
    checks.equal(named["inits"], inits)
