"""softmax: the definition, along any dimension, and no overflow."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.attention.strategies import HALF, bools


@part("softmax", points=2)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=4, max_side=4)), st.data())
def test_matches_the_definition_along_every_dimension(attention, x, data):
    """softmax(x, dim) is exp(x) divided by the sum of exp(x) along `dim`, for every `dim`, negative ones too."""
    dim = data.draw(st.integers(-x.dim(), x.dim() - 1))
    checks.agrees(attention.softmax(x, dim=dim), lambda x: torch.softmax(x, dim), x)


@part("softmax", points=2)
@given(
    draws.tensors(shape=draws.shapes(min_dims=1, max_dims=2), dtype=torch.float64, elements="extreme"),
    st.integers(-10000, 10000),
)
def test_extreme_inputs_stay_finite(attention, x, shift):
    """Entries of ten thousand, and adding one constant to all of them, neither overflow nor change the meaning."""
    checks.close(attention.softmax(x + shift, dim=-1), torch.softmax(x + shift, -1), rtol=1e-9, atol=1e-12)


@part("softmax", points=1)
@given(
    draws.tensors(shape=draws.shapes(min_dims=2, max_dims=3, min_side=2, max_side=3), dtype=torch.float64), st.data()
)
def test_each_slice_has_its_own_maximum(attention, x, data):
    """A slice far below the largest entry of the whole tensor still has a softmax."""
    dim = data.draw(st.integers(-x.dim(), x.dim() - 1))
    far = torch.arange(0, -2000 * x.numel(), -2000, dtype=x.dtype)[: x.select(dim, 0).numel()]
    x = x + far.reshape(x.select(dim, 0).shape).unsqueeze(dim)
    checks.close(attention.softmax(x, dim=dim), torch.softmax(x, dim), rtol=1e-9, atol=1e-12)


@part("softmax", points=1)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=2), dtype=torch.float64, elements="extreme"), st.data())
def test_an_entry_of_minus_infinity_gets_weight_zero(attention, x, data):
    """An entry of -inf gets weight exactly 0, and the others share the whole, however small they are."""
    kept = data.draw(bools(tuple(x.shape)))
    kept[..., 0] = True
    x = x.masked_fill(~kept, -math.inf)
    y = attention.softmax(x, dim=-1)
    checks.close(y, torch.softmax(x, -1), rtol=1e-9, atol=1e-12)
    checks.holds(bool((y[~kept] == 0).all()), "entries of -inf get weight exactly 0", y)


@part("softmax", points=1)
@settings(max_examples=30)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=3), dtype=st.one_of(HALF, st.just(torch.float64))))
def test_computes_in_the_dtype_of_its_input(attention, x):
    """The result has the dtype of the input, and float64 input keeps all of its digits."""
    checks.agrees(attention.softmax(x, dim=-1), lambda x: torch.softmax(x, -1), x)


@part("softmax", points=1, kind="self-reported")
@settings(max_examples=20)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=3), dtype=torch.float64))
def test_softmax_leaves_its_input_alone(attention, x):
    """The input is not edited in place while the softmax is computed."""
    weights, after, _ = attention.echo(attention.softmax, x, -1)
    checks.agrees(weights, lambda x: torch.softmax(x, -1), x)
    checks.equal(after[0], x)
