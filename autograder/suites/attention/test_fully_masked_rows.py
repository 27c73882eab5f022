"""scaled_dot_product_attention where a query may attend to nothing: a part of its own."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.attention.strategies import some_rows_empty


@part("fully_masked_rows", points=2)
@given(some_rows_empty(dtype=draws.float_dtypes(half=True)))
def test_a_query_with_nothing_to_attend_to_gets_zeros(attention, qkvm):
    """A query whose row of the mask is False throughout gets a row of zeros, not NaN and not the mean of the values."""
    q, k, v, mask = qkvm
    y = attention.scaled_dot_product_attention(q, k, v, mask)
    checks.tensor(y, shape=(*q.shape[:-1], v.shape[-1]), dtype=q.dtype)
    empty = ~mask.any(-1)
    checks.equal(y[empty], torch.zeros(int(empty.sum()), v.shape[-1], dtype=q.dtype))
    ones = attention.scaled_dot_product_attention(q, k, torch.ones_like(v), mask)[~empty]
    checks.holds(((ones - 1.0).abs() < 0.1).all(), "the weights of every other query add up to 1", ones)


@part("fully_masked_rows", points=1)
@settings(max_examples=30)
@given(some_rows_empty(dtype=torch.float64))
def test_other_queries_are_as_without_it(attention, qkvm):
    """A query that may attend to nothing leaves the outputs of the other queries as they are."""
    q, k, v, mask = qkvm
    empty = ~mask.any(-1, keepdim=True)
    weights = torch.softmax((q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~(mask | empty), -torch.inf), -1)
    expected = (weights @ v).masked_fill(empty, 0.0)
    checks.close(attention.scaled_dot_product_attention(q, k, v, mask), expected, rtol=1e-9, atol=1e-9)


@part("fully_masked_rows", points=1)
@settings(max_examples=30)
@given(some_rows_empty(dtype=torch.float64), st.data())
def test_gradients_stay_finite(attention, qkvm, data):
    """A query that may attend to nothing has a gradient of 0, and NaN reaches no gradient at all."""
    q, k, v, mask = qkvm
    cotangent = data.draw(draws.tensors((*q.shape[:-1], v.shape[-1]), dtype=torch.float64))
    _, grads = attention.vjp(attention.scaled_dot_product_attention, q, k, v, mask, cotangent=cotangent, wrt=[0, 1, 2])
    for gradient, x in zip(grads, (q, k, v), strict=True):
        checks.tensor(gradient, shape=x.shape, dtype=torch.float64)
    empty = ~mask.any(-1)
    checks.holds(bool((grads[0][empty] == 0).all()), "the gradient of a query that sees nothing is 0", grads[0])
