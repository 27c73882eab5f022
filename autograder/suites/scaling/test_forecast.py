"""fit_sigmoid and forecast."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.judge.proxies import raises
from autograder.judge.suite import reference
from autograder.suites.scaling.strategies import SIGMOID_FIELDS, curves, normal, read, sigmoid

NAME = "forecast"
COMPUTE = torch.linspace(1.0, 100.0, 100, dtype=torch.float64)


def squares(C: torch.Tensor, R: torch.Tensor, values: tuple) -> float:
    return float(((sigmoid(C, values) - R) ** 2).sum())


@part(NAME, points=2)
@settings(max_examples=10)
@given(curves(), st.booleans(), st.sampled_from([1.0, 1e-3, 1e6]), st.sampled_from([5, 30, 100]))
def test_rewards_without_noise_give_the_curve_back(scaling, values, known, unit, n):
    """Rewards that a curve makes are predicted to one part in 10,000, with R0 known or not, in any unit of compute."""
    C = COMPUTE[torch.linspace(0, 99, n).round().long()] * unit
    A, B, C_mid, R0 = values
    truth = (A, B, C_mid * unit, R0)
    found = read(scaling.fit_sigmoid(C, sigmoid(C, truth), R0=R0 if known else None), SIGMOID_FIELDS)
    checks.close(sigmoid(C, found), sigmoid(C, truth), rtol=1e-4)
    more = 10 * C[-1:]
    checks.close(sigmoid(more, found), sigmoid(more, truth), rtol=1e-3)


@part(NAME, points=2)
@settings(max_examples=8)
@given(curves(), st.booleans(), st.sampled_from([0.003, 0.02]), draws.seeds(), st.sampled_from([0.0, 0.1]))
def test_the_curve_is_that_of_least_squares(scaling, values, known, noise, seed, off):
    """With noise the sum of squares is within a thousandth of the smallest, and an R0 that is given is kept."""
    R = sigmoid(COMPUTE, values) + noise * normal(100, seed)
    R0 = values[3] - off if known else None
    found = read(scaling.fit_sigmoid(COMPUTE, R, R0=R0), SIGMOID_FIELDS)
    fit = reference("scaling").fit_sigmoid(COMPUTE, R, R0=R0)
    smallest = squares(COMPUTE, R, (fit.A, fit.B, fit.C_mid, fit.R0))
    reached = squares(COMPUTE, R, found)
    checks.holds(reached <= 1.001 * smallest + 1e-12, "the sum of squares is the smallest", reached, smallest)
    if R0 is not None:
        checks.close(found[3], R0, rtol=1e-9, atol=1e-12)


@part(NAME, points=1)
@settings(max_examples=5)
@given(st.sampled_from([1.1, 1.3, 1.6]), st.sampled_from([1.0, 1.5]), st.sampled_from([60.0, 150.0]), st.booleans())
def test_no_pass_rate_is_above_one(scaling, A, B, C_mid, known):
    """Where the best curve would rise above 1, the best with A <= 1 is returned: pass rates end there."""
    R = sigmoid(COMPUTE, (A, B, C_mid, 0.1))
    R = R[R < 0.9]
    found = read(scaling.fit_sigmoid(COMPUTE[: len(R)], R, R0=0.1 if known else None), SIGMOID_FIELDS)
    checks.holds(found[0] <= 1 + 1e-9, "A is at most 1", found[0])
    fit = reference("scaling").fit_sigmoid(COMPUTE[: len(R)], R, R0=0.1 if known else None)
    smallest = squares(COMPUTE[: len(R)], R, (fit.A, fit.B, fit.C_mid, fit.R0))
    reached = squares(COMPUTE[: len(R)], R, found)
    checks.holds(reached <= 1.01 * smallest + 1e-9, "no curve below 1 fits better", reached, smallest)


@part(NAME, points=1)
@settings(max_examples=6)
@given(curves(), st.integers(1, 8), draws.seeds())
def test_runs_before_c_min_do_not_count(scaling, values, skipped, seed):
    """Runs with C < c_min are left out, whatever their reward; a run at c_min itself counts."""
    R = sigmoid(COMPUTE, values)
    R[:skipped] = normal(skipped, seed)
    c_min = float(COMPUTE[skipped])
    found = read(scaling.fit_sigmoid(COMPUTE, R, c_min=c_min), SIGMOID_FIELDS)
    checks.close(sigmoid(COMPUTE[skipped:], found), R[skipped:].clone(), rtol=1e-4)
    at_least = COMPUTE[skipped - 1 : skipped + 3], sigmoid(COMPUTE[skipped - 1 : skipped + 3], values)
    exact = read(scaling.fit_sigmoid(*at_least, R0=values[3], c_min=c_min), SIGMOID_FIELDS)
    checks.close(sigmoid(at_least[0][1:], exact), at_least[1][1:].clone(), rtol=1e-3)


@part(NAME, points=1)
@settings(max_examples=6)
@given(curves(), st.booleans(), st.integers(1, 3))
def test_too_few_runs_make_no_curve(scaling, values, known, short):
    """Four numbers need four runs, three with R0: with fewer it is a ValueError, with just enough a curve."""
    needed = 3 if known else 4
    R0 = values[3] if known else None
    places = torch.tensor([2, 8, 25, 70])[:needed]
    C, R = COMPUTE[places], sigmoid(COMPUTE[places], values)
    found = read(scaling.fit_sigmoid(C, R, R0=R0), SIGMOID_FIELDS)
    checks.close(sigmoid(C, found), R, rtol=1e-3)
    with raises("ValueError"):
        scaling.fit_sigmoid(C[:-short], R[:-short], R0=R0)
    with raises("ValueError"):
        scaling.fit_sigmoid(C, R, R0=R0, c_min=float(C[0]) + 0.5)


@part(NAME, points=1)
@settings(max_examples=6)
@given(curves(), st.booleans(), st.sampled_from([0.25, 0.5]), st.sampled_from([(), (3,), (2, 2)]))
def test_the_start_of_a_curve_tells_its_end(scaling, values, known, fraction, shape):
    """Without noise a forecast from a quarter or half of the compute is right to 0.001, for targets of any shape."""
    target = torch.linspace(50.0, 1000.0, 4, dtype=torch.float64)[: torch.Size(shape).numel()].reshape(shape)
    R0 = values[3] if known else None
    found = scaling.forecast(COMPUTE, sigmoid(COMPUTE, values), target, fraction=fraction, R0=R0)
    checks.close(found, sigmoid(target, values), rtol=0.0, atol=1e-3)


@part(NAME, points=1)
@settings(max_examples=4)
@given(curves(), st.floats(-5, 5), draws.seeds())
def test_a_forecast_does_not_look_at_what_it_forecasts(scaling, values, garbage, seed):
    """Rewards beyond fraction * max(C) do not matter: whatever they are, the forecast is that of the curve before."""
    order = torch.randperm(100, generator=torch.Generator().manual_seed(seed))
    C = (COMPUTE**1.3)[order]  # so that a quarter of the compute is not a quarter of the runs
    target = torch.tensor([50.0, 300.0], dtype=torch.float64)
    for fraction in (0.1, 0.25, 0.4):
        R = sigmoid(C, values)
        R[fraction * C.max() < C] = garbage
        found = scaling.forecast(C, R, target, fraction=fraction)
        checks.close(found, sigmoid(target, values), rtol=0.0, atol=1e-3)


@part(NAME, points=1)
@settings(max_examples=6)
@given(curves(), draws.seeds())
def test_a_forecast_keeps_the_start_that_is_known(scaling, values, seed):
    """With noise of 0.001 a forecast is that of the best curve that starts at R0, even where the data say otherwise."""
    R = sigmoid(COMPUTE, values) + 0.001 * normal(100, seed)
    target = COMPUTE[-1:]
    for R0 in (values[3], values[3] - 0.1):
        found = scaling.forecast(COMPUTE, R, target, R0=R0)
        checks.close(found, reference("scaling").forecast(COMPUTE, R, target, R0=R0), rtol=0.0, atol=2e-3)
