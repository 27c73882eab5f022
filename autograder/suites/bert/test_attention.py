"""BertSelfAttention: torch's own layer as oracle, both directions, padding."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.bert.strategies import (
    attention_cases,
    attention_shapes,
    build,
    normal,
    torch_attention,
    weights_of,
)

NAME = "BertSelfAttention"


@part(NAME, points=2)
@given(attention_cases())
def test_matches_torch_without_padding(bert, case):
    """With the same weights the output is that of torch.nn.MultiheadAttention, where every token sees every token."""
    n_heads, weights, x, _ = case
    layer = build(bert, NAME, (x.shape[-1], n_heads), weights)
    checks.agrees(layer(x), torch_attention, x, weights, n_heads, None)


@part(NAME, points=2)
@given(attention_cases(min_t=2))
def test_matches_torch_with_padding_anywhere(bert, case):
    """With a mask, True = real, the output is that of torch's layer, also for queries that are padding themselves."""
    n_heads, weights, x, real = case
    layer = build(bert, NAME, (x.shape[-1], n_heads), weights)
    checks.agrees(layer(x, attention_mask=real), torch_attention, x, weights, n_heads, real)


@part(NAME, points=2)
@given(attention_cases(min_t=2), st.data())
def test_padding_has_no_influence_on_real_tokens(bert, case, data):
    """What stands in the padding changes no output of a real token, and each sequence has its own padding."""
    n_heads, weights, x, real = case
    other = data.draw(draws.tensors(tuple(x.shape), dtype=torch.float64))
    layer = build(bert, NAME, (x.shape[-1], n_heads), weights)
    changed = torch.where(real[..., None], x, other)
    before = layer(x, real)
    checks.agrees(before, torch_attention, x, weights, n_heads, real)
    checks.close(layer(changed, real)[real], before[real], rtol=1e-9, atol=1e-11)
    alone = [layer(x[i : i + 1], real[i : i + 1]) for i in range(len(x))]
    checks.close(before, torch.cat(alone), rtol=1e-9, atol=1e-11)


@part(NAME, points=1)
@settings(max_examples=20)
@given(draws.seeds())
def test_every_token_sees_both_directions(bert, seed):
    """The output at every token has a gradient with respect to every token before and after it."""
    t, c = 4, 4
    weights = weights_of(attention_shapes(c), seed)
    x = normal((1, t, c), seed + 50)
    layer = build(bert, NAME, (c, 2), weights)
    for position in (0, t - 1):
        cotangent = torch.zeros_like(x)
        cotangent[:, position] = 1
        _, grads = bert.vjp(layer, x, cotangent=cotangent, wrt=[0])
        reached = grads[0].abs().sum(dim=-1)[0] > 0
        checks.equal(reached, torch.ones(t, dtype=torch.bool))


@part(NAME, points=1)
@settings(max_examples=10)
@given(draws.seeds())
def test_dropout_acts_in_training_alone(bert, seed):
    """In evaluation mode dropout does nothing; in training mode two calls differ, because other weights are dropped."""
    c = 4
    weights = weights_of(attention_shapes(c), seed)
    x = normal((3, 6, c), seed + 50)
    layer = build(bert, NAME, (c, 2, 0.5), weights)
    first, second = layer(x), layer(x)
    checks.holds(not torch.equal(first, second), "two calls in training mode differ", second)
    layer.eval()
    checks.agrees(layer(x), torch_attention, x, weights, 2, None)
