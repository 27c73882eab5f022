"""huber_lse_objective: what the fit minimises."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.scaling.strategies import (
    as_theta,
    chinchilla,
    huber_sum,
    ladders,
    laws,
    log_loss,
    noisy_runs,
    normal,
    thetas,
)

NAME = "huber_lse_objective"
DELTAS = st.sampled_from([1e-3, 1e-2, 0.1, 1.0])


@st.composite
def near_runs(draw):
    """(theta, N, D, L, delta): residuals on both sides of delta, within a few times its size."""
    theta, (N, D), delta = draw(thetas()), draw(ladders(min_runs=1, max_runs=8)), draw(DELTAS)
    middle = log_loss(theta, N, D).reshape(-1, len(N))[0]
    return theta, N, D, (middle + 2 * delta * normal(len(N), draw(draws.seeds()))).exp(), delta


def gradient(theta, N, D, L, delta):
    leaf = theta.clone().requires_grad_()
    return torch.autograd.grad(huber_sum(leaf, N, D, L, delta).sum(), leaf)[0]


def same(returned, expected, delta):
    """Equal up to the rounding of a residual, one part in 1e12 of log L."""
    checks.close(returned, expected, rtol=1e-7, atol=1e-11 * delta)


@part(NAME, points=3)
@given(near_runs())
def test_the_objective_is_a_sum_of_huber(scaling, runs):
    """The objective is the SUM over runs of huber(log L_predicted - log L), as torch's huber_loss has it."""
    *arguments, delta = runs
    value, _ = scaling.huber_lse_objective(*arguments, delta=delta)
    same(value, huber_sum(*runs), delta)


@part(NAME, points=3)
@given(near_runs())
def test_the_gradient_is_that_of_the_objective(scaling, runs):
    """The gradient is that of the objective: within delta a residual pulls by its size, beyond by delta."""
    *arguments, delta = runs
    _, found = scaling.huber_lse_objective(*arguments, delta=delta)
    checks.close(found, gradient(*runs), rtol=1e-7, atol=1e-9 * delta)


@part(NAME, points=1)
@settings(max_examples=20)
@given(laws(), ladders(min_runs=1, max_runs=6), DELTAS, st.sampled_from([0.0, 1.0]))
def test_the_truth_costs_nothing(scaling, values, runs, delta, away):
    """Where the law made the losses, the objective is 0 and so is its gradient; elsewhere it is positive."""
    N, D = runs
    theta = as_theta(values) + away * torch.tensor([0.0, 0.0, 0.1, 0.0, 0.0], dtype=torch.float64)
    value, found = scaling.huber_lse_objective(theta, N, D, chinchilla(N, D, values), delta=delta)
    expected = huber_sum(theta, N, D, chinchilla(N, D, values), delta)
    checks.close(value, expected, rtol=1e-7, atol=1e-18)
    checks.close(found, gradient(theta, N, D, chinchilla(N, D, values), delta), rtol=1e-6, atol=1e-12)


@part(NAME, points=2)
@settings(max_examples=30)
@given(thetas(), ladders(min_runs=1, max_runs=1), DELTAS, st.sampled_from([-20.0, -3.0, -0.5, 0.5, 3.0, 20.0]))
def test_parabola_inside_and_line_outside(scaling, theta, runs, delta, times):
    """A residual r costs r^2 / 2 up to delta and delta (|r| - delta / 2) beyond; delta is a difference of log L."""
    N, D = runs
    theta = theta.reshape(-1, 5)[0].clone()
    residual = times * delta
    L = (log_loss(theta, N, D) - residual).exp()
    cost = residual**2 / 2 if abs(times) <= 1 else delta * (abs(residual) - delta / 2)
    value, _ = scaling.huber_lse_objective(theta, N, D, L, delta=delta)
    checks.close(value, torch.tensor(cost, dtype=torch.float64), rtol=1e-6)


@part(NAME, points=1)
@settings(max_examples=20)
@given(noisy_runs(), st.sampled_from([30.0, 900.0, 3000.0]), st.integers(0, 2))
def test_a_far_start_is_finite(scaling, runs, size, which):
    """From a start with a, b or e of 30, 900 or 3000 the objective and its gradient are finite and right."""
    N, D, L, values = runs
    theta = as_theta(values)
    theta[which] = size
    value, found = scaling.huber_lse_objective(theta, N, D, L)
    checks.close(value, huber_sum(theta, N, D, L, 1e-3), rtol=1e-9)
    checks.close(found, gradient(theta, N, D, L, 1e-3), rtol=1e-7, atol=1e-12)
