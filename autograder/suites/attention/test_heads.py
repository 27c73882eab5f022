"""split_heads and merge_heads: contiguous blocks of channels, there and back."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part

SIDES = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))  # B, T, H, D


@st.composite
def tokens_by_channels(draw: st.DrawFn) -> tuple[torch.Tensor, int]:
    """x (B, T, C) and a number of heads."""
    b, t, h, d = draw(SIDES)
    return draw(draws.tensors((b, t, h * d))), h


@st.composite
def tokens_by_heads(draw: st.DrawFn) -> torch.Tensor:
    """x (B, H, T, D)."""
    b, t, h, d = draw(SIDES)
    return draw(draws.tensors((b, h, t, d)))


@part("heads", points=2)
@given(tokens_by_channels())
def test_head_h_is_block_h_of_the_channels(attention, case):
    """split_heads(x, n_heads)[:, h] is x[..., h * D : (h + 1) * D], a block of neighbouring channels."""
    x, h = case
    checks.equal(attention.split_heads(x, h), torch.stack(x.split(x.shape[-1] // h, dim=-1), dim=1))


@part("heads", points=1)
@given(tokens_by_channels(), st.data())
def test_splitting_never_mixes_tokens(attention, case, data):
    """Changing one token of the input changes that token of each head, and no other."""
    x, h = case
    t = data.draw(st.integers(0, x.shape[1] - 1))
    changed = x.clone()
    changed[:, t] += 1
    moved = attention.split_heads(changed, h) != attention.split_heads(x, n_heads=h)
    checks.equal(moved.any(-1).any(1).any(0), torch.arange(x.shape[1]) == t)


@part("heads", points=2)
@given(tokens_by_heads())
def test_merging_puts_head_h_into_block_h(attention, x):
    """merge_heads(x)[..., h * D : (h + 1) * D] is x[:, h]."""
    checks.equal(attention.merge_heads(x), torch.cat(x.unbind(1), dim=-1))


@part("heads", points=1)
@settings(max_examples=20)
@given(tokens_by_channels())
def test_merging_undoes_splitting(attention, case):
    """merge_heads(split_heads(x, n_heads)) is x, and in between there are heads."""
    x, h = case
    split = attention.split_heads(x, h)
    checks.tensor(split, shape=(x.shape[0], h, x.shape[1], x.shape[2] // h), dtype=x.dtype)
    checks.equal(attention.merge_heads(split), x.contiguous())


@part("heads", points=1)
@settings(max_examples=20)
@given(tokens_by_heads())
def test_splitting_undoes_merging(attention, x):
    """split_heads(merge_heads(x), H) is x, and in between the heads are side by side."""
    merged = attention.merge_heads(x)
    checks.tensor(merged, shape=(x.shape[0], x.shape[2], x.shape[1] * x.shape[3]), dtype=x.dtype)
    checks.equal(attention.split_heads(merged, x.shape[1]), x.contiguous())


@part("heads", points=1)
@settings(max_examples=20)
@given(tokens_by_heads(), st.data())
def test_gradients_go_back_where_they_came_from(attention, x, data):
    """The gradient of a merged tensor is the split cotangent, and the other way round."""
    b, h, t, d = x.shape
    cotangent = data.draw(draws.tensors((b, t, h * d), dtype=x.dtype))
    _, grads = attention.vjp(attention.merge_heads, x, cotangent=cotangent, wrt=[0])
    checks.equal(grads[0], torch.stack(cotangent.split(d, dim=-1), dim=1))
    _, grads = attention.vjp(attention.split_heads, cotangent, h, cotangent=x, wrt=[0])
    checks.equal(grads[0], torch.cat(x.unbind(1), dim=-1))
