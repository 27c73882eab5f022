"""chinchilla_log_loss: the logarithm of the loss and its derivatives."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.scaling.strategies import ladders, log_loss, thetas

NAME = "chinchilla_log_loss"
RUNS = ladders(min_runs=1, max_runs=6)


def derivatives(theta: torch.Tensor, N: torch.Tensor, D: torch.Tensor) -> torch.Tensor:
    """(..., n, 5) by autograd, one run at a time."""
    rows = []
    for i in range(len(N)):
        leaf = theta.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(log_loss(leaf, N[i : i + 1], D[i : i + 1]).sum(), leaf)
        rows.append(gradient)
    return torch.stack(rows, dim=-2)


@part(NAME, points=2)
@given(thetas(), RUNS)
def test_log_loss_is_a_log_sum_of_exponentials(scaling, theta, runs):
    """The first result is log(exp(a - alpha log N) + exp(b - beta log D) + exp(e)), in natural logarithms."""
    returned, _ = scaling.chinchilla_log_loss(theta, *runs)
    checks.close(returned, log_loss(theta, *runs), atol=1e-10)


@part(NAME, points=2)
@given(thetas(), RUNS)
def test_derivatives_are_those_of_the_log_loss(scaling, theta, runs):
    """jacobian[..., i, j] is the derivative of run i's log loss with respect to theta_j, in the order of theta."""
    _, jacobian = scaling.chinchilla_log_loss(theta, *runs)
    checks.close(jacobian, derivatives(theta, *runs), atol=1e-10)


@part(NAME, points=1)
@settings(max_examples=30)
@given(thetas(), RUNS, st.sampled_from([-3000.0, -800.0, 800.0, 3000.0]), st.integers(0, 2))
def test_nothing_overflows(scaling, theta, runs, size, which):
    """Values and derivatives are finite and right also where a, b or e is 3000 or -3000."""
    theta = theta.clone()
    theta[..., which] += size
    returned, jacobian = scaling.chinchilla_log_loss(theta, *runs)
    checks.close(returned, log_loss(theta, *runs), atol=1e-9)
    checks.close(jacobian, derivatives(theta, *runs), rtol=1e-7, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=20)
@given(thetas(), RUNS)
def test_a_batch_is_each_alone(scaling, theta, runs):
    """A batch of parameters gives what each of its members gives alone: (..., n) and (..., n, 5)."""
    returned, jacobian = scaling.chinchilla_log_loss(theta, *runs)
    checks.tensor(returned, shape=(*theta.shape[:-1], len(runs[0])), dtype=torch.float64)
    checks.tensor(jacobian, shape=(*theta.shape[:-1], len(runs[0]), 5), dtype=torch.float64)
    flat = theta.reshape(-1, 5)
    alone, of_one = scaling.chinchilla_log_loss(flat[-1].clone(), *runs)
    checks.close(alone, log_loss(flat[-1], *runs), atol=1e-10)
    checks.close(returned.reshape(-1, len(runs[0]))[-1].clone(), alone, atol=1e-10)
    checks.close(jacobian.reshape(-1, len(runs[0]), 5)[-1].clone(), of_one, atol=1e-10)
