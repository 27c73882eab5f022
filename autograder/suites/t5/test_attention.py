"""Attention: T5's, to oneself or to another text."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws, part
from autograder.suites.t5.strategies import attended, normal

NAME = "Attention"


@st.composite
def layers(draw: st.DrawFn, min_heads: int = 1) -> tuple[int, dict[str, Tensor], Tensor, Tensor, Tensor, Tensor]:
    """(n_heads, weights, x, context, mask, bias) in float64; every query may attend to its first key at least."""
    n_heads = draw(st.integers(min_heads, 3))
    d_model = n_heads * draw(st.integers(2, 3))
    b, t, s = draw(st.integers(1, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    seed = draw(draws.seeds())
    weights = {f"{name}.weight": normal((d_model, d_model), seed + i) for i, name in enumerate(("q", "k", "v", "out"))}
    shape = draw(st.sampled_from([(b, 1, t, s), (1, 1, t, s), (b, 1, 1, s)]))
    count = torch.Size(shape).numel()
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count))).reshape(shape)
    mask[..., 0] = True
    x, context = (draw(draws.tensors((b, n, d_model), dtype=torch.float64)) for n in (t, s))
    return n_heads, weights, x, context, mask, draw(draws.tensors((1, n_heads, t, s), dtype=torch.float64))


def layer(t5, n_heads, weights):
    config = t5.T5Config(9, d_model=weights["q.weight"].shape[0], n_heads=n_heads)
    attention = t5.Attention(config)
    attention.double()
    attention.load_state_dict(weights)
    return attention


@part(NAME, points=2)
@settings(max_examples=30)
@given(layers())
def test_matches_the_definition(t5, case):
    """Each head gives softmax(q k^T + bias) v over the keys that the mask allows, and `out` mixes the heads."""
    n_heads, weights, x, context, mask, bias = case
    returned = layer(t5, n_heads, weights)(x, context, mask, bias)
    checks.agrees(returned, attended, x, context, weights, n_heads, mask, bias)


@part(NAME, points=1)
@settings(max_examples=30)
@given(layers(min_heads=2))
def test_scores_are_not_scaled(t5, case):
    """Without a bias, scores are q k^T as it is: T5 does not divide by sqrt(d_k)."""
    n_heads, weights, x, context, mask, _ = case
    returned = layer(t5, n_heads, weights)(x, context, mask)
    checks.agrees(returned, attended, x, context, weights, n_heads, mask)


@part(NAME, points=1)
@settings(max_examples=30)
@given(layers(), st.data())
def test_a_masked_place_has_no_influence(t5, case, data):
    """What the context holds where no query may attend to it, and the bias there, change nothing."""
    n_heads, weights, x, context, mask, bias = case
    seen = mask.reshape(-1, mask.shape[-1]).any(0)
    other = torch.where(seen[:, None], context, data.draw(draws.tensors(tuple(context.shape), dtype=torch.float64)) + 9)
    attention = layer(t5, n_heads, weights)
    expected = attended(x, context, weights, n_heads, mask, bias)
    checks.close(attention(x, other, mask, torch.where(seen, bias, 50.0)), expected, rtol=1e-9, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=30)
@given(layers(), st.data())
def test_gradients_reach_text_context_bias_and_weights(t5, case, data):
    """Gradients with respect to x, the context, the bias and all four linear maps are those of the definition."""
    n_heads, weights, x, context, mask, bias = case
    cotangent = data.draw(draws.tensors(tuple(x.shape), dtype=torch.float64))
    attention = layer(t5, n_heads, weights)
    _, grads = t5.vjp(attention, x, context, mask, bias, cotangent=cotangent, wrt=[0, 1, 3, *weights])
    leaves = [tensor.clone().requires_grad_() for tensor in (x, context, bias, *weights.values())]
    named = dict(zip(weights, leaves[3:], strict=True))
    y = attended(leaves[0], leaves[1], named, n_heads, mask, leaves[2])
    checks.close(grads, list(torch.autograd.grad(y, leaves, cotangent)), rtol=1e-7, atol=1e-7)
