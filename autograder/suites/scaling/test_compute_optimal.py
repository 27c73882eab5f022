"""compute_optimal and budget_for_loss."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.scaling.strategies import EPOCH, FIELDS, HOFFMANN, chinchilla, laws

NAME = "compute_optimal"


@st.composite
def budgets(draw):
    """FLOPs in float64 of 0 to 2 dimensions, from 1e15 to 1e26."""
    shape = draw(draws.shapes(min_dims=0, max_dims=2, max_side=3))
    source = torch.Generator().manual_seed(draw(draws.seeds()))
    return 10 ** (15 + 11 * torch.rand(shape, generator=source, dtype=torch.float64))


def optimum(C: torch.Tensor, values: tuple) -> tuple[torch.Tensor, torch.Tensor]:
    """N and D where N has been set to zero slope: N^(alpha + beta) = (alpha A / beta B) (C / 6)^beta."""
    A, B, _, alpha, beta = values
    N = (alpha * A / (beta * B) * (C / 6) ** beta) ** (1 / (alpha + beta))
    return N, C / 6 / N


@part(NAME, points=3)
@given(budgets(), laws())
def test_the_budget_is_spent_and_marginal_gains_are_equal(scaling, C, values):
    """6 N D = C, and alpha A / N^alpha = beta B / D^beta: moving compute from one to the other gains nothing."""
    A, B, _, alpha, beta = values
    N, D = scaling.compute_optimal(C, scaling.ScalingFit(*values))
    checks.close(6 * N * D, C, rtol=1e-8)
    checks.close(alpha * A / N**alpha, beta * B / D**beta, rtol=1e-8)


@part(NAME, points=2)
@given(budgets(), laws(), draws.seeds())
def test_no_other_split_is_better(scaling, C, values, seed):
    """None of 200 other splits of the same budget has a lower loss."""
    N, D = scaling.compute_optimal(C, scaling.ScalingFit(*values))
    checks.close(6 * N * D, C, rtol=1e-8)
    factors = (3 * torch.randn(200, *([1] * C.dim()), generator=torch.Generator().manual_seed(seed)).double()).exp()
    others = chinchilla(N * factors, D / factors, values)
    chosen = chinchilla(N, D, values)
    checks.holds(bool((chosen <= others.amin(0) * (1 + 1e-12)).all()), "the split has the lowest loss", N)


@part(NAME, points=2)
def test_published_laws_say_what_to_train(scaling):
    """With 5.76e23 FLOPs Hoffmann's law says 32 billion parameters on 93 tokens each, Besiroglu's 72 billion on 18."""
    C = torch.tensor(5.76e23, dtype=torch.float64)
    for values, billions, ratio in ((HOFFMANN, 32.2, 92.6), (EPOCH, 72.2, 18.4)):
        N, D = scaling.compute_optimal(C, scaling.ScalingFit(*values))
        checks.close(N, torch.tensor(billions * 1e9, dtype=torch.float64), rtol=2e-3)
        checks.close(D / N, torch.tensor(ratio, dtype=torch.float64), rtol=2e-3)


@part(NAME, points=1)
@settings(max_examples=30)
@given(budgets(), laws(), st.sampled_from([2.0, 10.0, 1e4]))
def test_the_optimum_grows_as_a_power(scaling, C, values, factor):
    """k times the budget means k^(beta / (alpha + beta)) times the parameters, and the rest goes into tokens."""
    _, _, _, alpha, beta = values
    fit = scaling.ScalingFit(*values)
    (N, D), (more_N, more_D) = scaling.compute_optimal(C, fit), scaling.compute_optimal(factor * C, fit)
    checks.tensor(N, shape=C.shape)
    checks.holds(bool((N > 0).all()), "there is at least something of everything", N)
    checks.close(more_N, N * factor ** (beta / (alpha + beta)))
    checks.close(more_D, D * factor ** (alpha / (alpha + beta)))


@part(NAME, points=1)
@settings(max_examples=20)
@given(draws.seeds(), st.integers(1, 3), st.integers(1, 4))
def test_many_budgets_under_many_laws(scaling, seed, n_budgets, n_fits):
    """Where the fields are tensors, they are broadcast against the budgets, and dtype and shape follow."""
    source = torch.Generator().manual_seed(seed)
    moved = tuple(v * (1 + 0.1 * torch.rand(n_fits, generator=source, dtype=torch.float64)) for v in EPOCH)
    C = 10 ** (18 + 5 * torch.rand(n_budgets, 1, generator=source, dtype=torch.float64))
    found = scaling.compute_optimal(C, scaling.ScalingFit(**dict(zip(FIELDS, moved, strict=True))))
    checks.close(found, optimum(C, moved))


@part(NAME, points=2)
@given(budgets(), laws())
def test_the_budget_for_the_loss_of_an_optimum_is_its_own(scaling, C, values):
    """budget_for_loss of the loss that a budget reaches is that budget."""
    loss = chinchilla(*optimum(C, values), values)
    # The excess over E may be thousandths of a nat, known to one part in 1e12; C is a power of it, up to the tenth.
    checks.close(scaling.budget_for_loss(loss, scaling.ScalingFit(*values)), C, rtol=1e-6)


@part(NAME, points=1)
@settings(max_examples=20)
@given(laws(), st.sampled_from([0.0, 1e-9, 0.1, 0.7]))
def test_nothing_buys_the_irreducible_loss(scaling, values, below):
    """A loss of E or less costs infinitely much, beside a loss above E that does not."""
    above = chinchilla(*optimum(torch.tensor(1e20).double(), values), values)
    loss = torch.stack([torch.tensor(values[2] - below, dtype=torch.float64), above])
    expected = torch.tensor([math.inf, 1e20], dtype=torch.float64)
    checks.close(scaling.budget_for_loss(loss, scaling.ScalingFit(*values)), expected, rtol=1e-6)
