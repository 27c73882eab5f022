"""causal_mask: which query sees which key."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, draws, part

LENGTHS = draws.lengths(1, 12)


@part("causal_mask", points=2)
@given(LENGTHS)
def test_square_is_the_lower_triangle_with_its_diagonal(attention, n):
    """With as many keys as queries, query i sees keys 0 to i: itself too, and nothing after."""
    checks.equal(attention.causal_mask(n, n), torch.ones(n, n, dtype=torch.bool).tril())


@part("causal_mask", points=1)
@given(LENGTHS)
def test_keys_default_to_queries(attention, n):
    """Without `k_len` there are as many keys as queries, on the device that is asked for."""
    checks.equal(attention.causal_mask(n), torch.ones(n, n, dtype=torch.bool).tril())
    checks.equal(attention.causal_mask(q_len=n, device="cpu"), torch.ones(n, n, dtype=torch.bool).tril())


@part("causal_mask", points=2)
@given(LENGTHS, st.integers(1, 6))
def test_more_keys_are_aligned_at_the_bottom_right(attention, q_len, extra):
    """With more keys than queries, query i sees k_len - q_len + i + 1 keys, so that the last query sees all of them."""
    k_len = q_len + extra
    checks.equal(attention.causal_mask(q_len, k_len), torch.arange(k_len) <= torch.arange(q_len)[:, None] + extra)


@part("causal_mask", points=1)
@given(st.integers(1, 6), st.integers(1, 6))
def test_fewer_keys_leave_the_first_queries_empty(attention, k_len, extra):
    """With fewer keys than queries, the first q_len - k_len queries see nothing, and the last one sees every key."""
    mask = attention.causal_mask(k_len + extra, k_len)
    expected = torch.zeros(k_len + extra, k_len, dtype=torch.bool)
    expected[extra:] = torch.ones(k_len, k_len).tril().bool()
    checks.equal(mask, expected)


@part("causal_mask", points=1)
@given(LENGTHS, LENGTHS)
def test_it_is_boolean(attention, q_len, k_len):
    """The mask is a bool tensor of shape (q_len, k_len), not numbers to add or to multiply by."""
    mask = attention.causal_mask(q_len, k_len=k_len)
    checks.tensor(mask, shape=(q_len, k_len), dtype=torch.bool)
    checks.holds(mask[-1].all(), "the last query sees every key", mask)


@part("causal_mask", points=1)
@given(LENGTHS, st.integers(0, 6))
def test_the_past_grows_by_one_key_a_query(attention, q_len, extra):
    """The mask of the last n queries is the last n rows of the mask of all."""
    k_len = q_len + extra
    whole = attention.causal_mask(k_len)
    checks.tensor(whole, shape=(k_len, k_len), dtype=torch.bool)
    checks.holds(whole[-1].all(), "the last query sees every key", whole)
    checks.equal(attention.causal_mask(q_len, k_len), whole[-q_len:])
