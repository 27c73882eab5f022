"""sigmoid_curve."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.scaling.strategies import curves, uniform

NAME = "sigmoid_curve"


@st.composite
def budgets(draw, dtype=None):
    """C > 0 of 0 to 2 dimensions."""
    source = torch.Generator().manual_seed(draw(draws.seeds()))
    shape = draw(draws.shapes(min_dims=0, max_dims=2, max_side=4))
    C = 10 ** (3 * torch.rand(shape, generator=source, dtype=torch.float64) - 1)
    return C.to(draw(draws.float_dtypes()) if dtype is None else dtype)


@part(NAME, points=2)
@given(budgets(), curves())
def test_the_curve_is_logistic_in_log_compute(scaling, C, values):
    """The reward is R0 + (A - R0) / (1 + (C_mid / C)^B), in the dtype of C."""
    A, B, C_mid, R0 = values
    checks.agrees(scaling.sigmoid_curve(C, *values), lambda C: R0 + (A - R0) / (1 + (C_mid / C) ** B), C)


@part(NAME, points=1)
@settings(max_examples=30)
@given(curves(), st.sampled_from([8.0, 30.0, 300.0]))
def test_both_ends_are_reached_and_finite(scaling, values, steepness):
    """At C = 0 and far below C_mid it is R0, far above it is A, and half-way at C_mid, however large B is."""
    A, _, C_mid, R0 = values
    C = torch.tensor([0.0, 1e-200, 1e-30, C_mid, 1e30, 1e200], dtype=torch.float64)
    expected = torch.tensor([R0, R0, R0, (A + R0) / 2, A, A], dtype=torch.float64)
    checks.close(scaling.sigmoid_curve(C, A, steepness, C_mid, R0), expected, rtol=1e-9, atol=1e-12)


@part(NAME, points=1)
@settings(max_examples=20)
@given(budgets(torch.float64), curves(), st.sampled_from([1e-3, 60.0]), st.data())
def test_units_of_compute_scale_the_middle(scaling, C, values, unit, data):
    """Compute and C_mid in other units give the same curve; A, B, C_mid and R0 may be tensors."""
    A, B, C_mid, R0 = values
    tops = torch.tensor([[A], [uniform(data.draw, 0.4, 1.0)]], dtype=torch.float64)
    flat = C.reshape(-1)
    expected = R0 + (tops - R0) / (1 + (C_mid / flat) ** B)
    checks.close(scaling.sigmoid_curve(flat, tops, B, C_mid, R0), expected)
    checks.close(scaling.sigmoid_curve(flat * unit, tops, B, C_mid * unit, R0), expected)
