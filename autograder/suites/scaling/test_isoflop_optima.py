"""isoflop_optima."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.scaling.strategies import normal, uniform

NAME = "isoflop_optima"


@st.composite
def profiles(draw, min_sizes=3, flattest=0.01):
    """(C, N, L, budgets, vertices): an exact parabola in log N for each budget, the runs in any order."""
    n_budgets, source = draw(st.integers(1, 4)), torch.Generator().manual_seed(draw(draws.seeds()))
    budgets = sorted(10 ** (16 + i + uniform(draw, 0.0, 0.5)) for i in range(n_budgets))
    rows, vertices = [], []
    for budget in budgets:
        vertex, r = uniform(draw, 14.0, 22.0), draw(st.floats(flattest, 0.5))
        n = draw(st.integers(min_sizes, 7))
        offsets = torch.arange(n).double() - (n - 1) * torch.rand((), generator=source).item()
        x = vertex + offsets * draw(st.sampled_from([0.5, 1.0]))
        rows.append(torch.stack([torch.full_like(x, budget), x.exp(), 2.5 + r * (x - vertex) ** 2]))
        vertices.append(math.exp(vertex))
    C, N, L = torch.cat(rows, dim=1)[:, torch.randperm(sum(row.shape[1] for row in rows), generator=source)]
    return C.clone(), N.clone(), L.clone(), torch.tensor(budgets).double(), torch.tensor(vertices).double()


def fitted(C: torch.Tensor, N: torch.Tensor, L: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The vertex of the parabola of least squares through each budget's runs, by the normal equations."""
    budgets = torch.tensor(sorted(set(C.tolist())), dtype=torch.float64)
    found = []
    for budget in budgets:
        x, y = N[budget == C].double().log(), L[budget == C].double()
        middle = float(x.mean())
        columns = torch.stack([torch.ones_like(x), x - middle, (x - middle) ** 2], dim=-1)
        _, q, r = torch.linalg.solve(columns.T @ columns, columns.T @ y).tolist()
        found.append(math.exp(middle - q / (2 * r)) if r > 0 else math.nan)
    return budgets, torch.tensor(found, dtype=torch.float64)


@part(NAME, points=2)
@given(profiles())
def test_a_parabola_gives_its_lowest_point(scaling, runs):
    """Losses on a parabola in log N give exp of its vertex for every budget; budgets come in ascending order."""
    C, N, L, budgets, vertices = runs
    checks.close(scaling.isoflop_optima(C, N, L), (budgets, vertices), rtol=1e-6)


@part(NAME, points=2)
@given(profiles(min_sizes=4, flattest=0.1), draws.seeds())
def test_with_noise_it_is_the_parabola_of_least_squares(scaling, runs, seed):
    """With noise it is the parabola of least squares, L in log N, through all runs of the budget, not the lowest."""
    C, N, L, _, _ = runs
    L = L + 0.01 * normal(len(L), seed)
    checks.close(scaling.isoflop_optima(C, N, L), fitted(C, N, L), rtol=1e-6)


@part(NAME, points=1)
@settings(max_examples=20)
@given(profiles(), st.floats(0.05, 0.5), st.sampled_from([1, 2]))
def test_no_lowest_point_is_not_a_number(scaling, runs, bend, n_few):
    """N_opt is NaN for a budget whose parabola bends downwards or that has fewer than three sizes; the others stand."""
    C, N, L, budgets, vertices = runs
    x = torch.arange(5).double() + 16
    few = torch.full((2 * n_few,), 4e30, dtype=torch.float64)
    sizes = torch.tensor([1e7, 2e7])[:n_few].double().repeat(2)
    more_C = torch.cat([C, torch.full((5,), 2e30, dtype=torch.float64), few])
    more_N = torch.cat([N, x.exp(), sizes])
    more_L = torch.cat([L, 3 - bend * (x - 18.3) ** 2, 3 + sizes.log() / 10])
    expected = (
        torch.cat([budgets, torch.tensor([2e30, 4e30], dtype=torch.float64)]),
        torch.cat([vertices, torch.full((2,), math.nan, dtype=torch.float64)]),
    )
    checks.close(scaling.isoflop_optima(more_C, more_N, more_L), expected, rtol=1e-6)


@part(NAME, points=1)
@settings(max_examples=20)
@given(st.floats(0.2, 0.6), st.floats(0.5, 2.0), st.integers(1, 3), st.floats(0.2, 1.0))
def test_equal_exponents_give_the_optimum_of_the_law(scaling, alpha, ratio, n_sides, step):
    """Where alpha = beta, runs spread evenly about the law's optimum give that optimum, for every budget."""
    C = torch.tensor([1e18, 1e20, 1e22], dtype=torch.float64)
    A, B = 3e7**alpha * ratio, 3e9**alpha
    best_N = (A / B * (C / 6) ** alpha) ** (1 / (2 * alpha))
    factors = (step * torch.arange(-n_sides, n_sides + 1).double()).exp()
    N = (best_N[:, None] * factors).flatten()
    budgets = C.repeat_interleave(len(factors))
    D = budgets / (6 * N)
    checks.close(scaling.isoflop_optima(budgets, N, 1.7 + A / N**alpha + B / D**alpha), (C, best_N), rtol=1e-6)
