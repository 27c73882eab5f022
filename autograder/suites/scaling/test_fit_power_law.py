"""fit_power_law."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.judge.proxies import raises
from autograder.suites.scaling.strategies import normal, uniform

NAME = "fit_power_law"


@st.composite
def power_laws(draw, min_points=2):
    """(x, coefficient, exponent): points over some decades, and a law of either slope."""
    n = draw(st.integers(min_points, 8))
    source = torch.Generator().manual_seed(draw(draws.seeds()))
    decades = torch.arange(n).double() / 2 + 0.3 * torch.rand(n, generator=source, dtype=torch.float64)
    start = draw(st.sampled_from([-3.0, 0.0, 6.0, 18.0]))
    order = torch.randperm(n, generator=source)
    return 10 ** (start + decades[order]), 10 ** uniform(draw, -3, 3), uniform(draw, -1.5, 1.5)


def line(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """The line of least squares through the logarithms, by torch's solver."""
    log_x = x.log()
    columns = torch.stack([torch.ones_like(log_x), log_x - log_x.mean()], dim=-1)
    level, slope = torch.linalg.lstsq(columns, y.log()).solution.tolist()
    return math.exp(level - slope * float(log_x.mean())), slope


@part(NAME, points=2)
@given(power_laws())
def test_an_exact_law_is_found(scaling, law):
    """Points on y = coefficient * x^exponent give back both numbers, as floats."""
    x, coefficient, exponent = law
    found = scaling.fit_power_law(x, coefficient * x**exponent)
    checks.holds(isinstance(found, tuple) and len(found) == 2, "a coefficient and an exponent are returned", found)
    checks.close(found, (coefficient, exponent), rtol=1e-7, atol=1e-9)


@part(NAME, points=2)
@given(power_laws(min_points=3), draws.seeds())
def test_noise_is_averaged_in_logarithms(scaling, law, seed):
    """With noise it is the line of least squares of log y on log x: every point counts, and by its logarithm."""
    x, coefficient, exponent = law
    y = coefficient * x**exponent * (0.5 * normal(len(x), seed)).exp()
    checks.close(scaling.fit_power_law(x, y), line(x, y), rtol=1e-7, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=20)
@given(power_laws(min_points=3), draws.seeds(), st.sampled_from([1e-6, 0.5, 1e3]), st.sampled_from([1e-3, 7.0]))
def test_units_move_the_coefficient_alone(scaling, law, seed, x_unit, y_unit):
    """Other units leave the exponent: x in units of c multiplies the coefficient by c^exponent, y in c divides it."""
    x, coefficient, exponent = law
    y = coefficient * x**exponent * (0.2 * normal(len(x), seed)).exp()
    expected, slope = line(x, y)
    found = scaling.fit_power_law(x / x_unit, y / y_unit)
    checks.close(found, (expected * x_unit**slope / y_unit, slope), rtol=1e-7, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=10)
@given(st.integers(1, 4), st.sampled_from([0.5, 2.0, 1e9]))
def test_one_x_makes_no_line(scaling, n, x):
    """With fewer than two different x there is no line: ValueError. With two it is the line through both."""
    same = torch.full((n,), x, dtype=torch.float64)
    y = torch.arange(1, n + 1).double()
    checks.close(scaling.fit_power_law(torch.stack([same[0], 3 * same[0]]), torch.tensor([2.0, 6.0]).double()),
                 (2 / x, 1.0), rtol=1e-7)  # fmt: skip
    with raises("ValueError"):
        scaling.fit_power_law(same, y)
