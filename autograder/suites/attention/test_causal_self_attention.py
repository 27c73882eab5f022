"""CausalSelfAttention: torch's own layer as oracle, and the properties that make it causal."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.attention.strategies import (
    build,
    layers_and_inputs,
    padded_layers_and_inputs,
    sees_the_past,
    torch_layer,
)

NAME = "CausalSelfAttention"


@part(NAME, points=3)
@given(layers_and_inputs())
def test_matches_torch_with_the_same_weights(attention, case):
    """With the same weights, with or without bias, the output is that of torch.nn.MultiheadAttention, made causal."""
    n_heads, weights, x = case
    layer = build(attention, n_heads, weights)
    checks.close(layer(x), torch_layer(x, weights, n_heads), rtol=1e-9, atol=1e-9)


@part(NAME, points=2)
@given(layers_and_inputs(min_t=2, min_heads=2))
def test_every_head_attends_by_itself(attention, case):
    """With several heads, head h uses block h of the channels of q, k and v, and `out` mixes them afterwards."""
    n_heads, weights, x = case
    identity = torch.eye(x.shape[-1], dtype=torch.float64)
    weights = {
        name: identity if name == "out.weight" else w for name, w in weights.items() if not name.endswith("bias")
    }
    layer = build(attention, n_heads, weights)
    q, k, v = (x @ weights[f"{name}.weight"].T for name in "qkv")
    blocks = zip(*(y.split(x.shape[-1] // n_heads, dim=-1) for y in (q, k, v)), strict=True)
    alone = [F.scaled_dot_product_attention(*block, is_causal=True) for block in blocks]
    checks.close(layer(x), torch.cat(alone, dim=-1), rtol=1e-9, atol=1e-9)


@part(NAME, points=3)
@given(layers_and_inputs(min_t=2), st.data())
def test_a_later_token_never_changes_an_earlier_output(attention, case, data):
    """Changing the tokens from t on leaves the outputs before t as they are, in every head."""
    n_heads, weights, x = case
    t = data.draw(st.integers(1, x.shape[1] - 1))
    changed = x.clone()
    changed[:, t:] = data.draw(draws.tensors((x.shape[0], x.shape[1] - t, x.shape[2]), dtype=torch.float64))
    layer = build(attention, n_heads, weights)
    before, after = layer(x), layer(changed)
    checks.tensor(before, shape=x.shape, dtype=torch.float64)
    checks.close(after[:, :t], before[:, :t], rtol=1e-9, atol=1e-9)
    sees_the_past(attention)


@part(NAME, points=2)
@settings(max_examples=30)
@given(layers_and_inputs(min_t=2), st.data())
def test_no_gradient_comes_from_the_future(attention, case, data):
    """The gradient of the output at token t is exactly 0 with respect to every later token of the input."""
    n_heads, weights, x = case
    t = data.draw(st.integers(0, x.shape[1] - 1))
    cotangent = torch.zeros_like(x)
    cotangent[:, t] = data.draw(draws.tensors((x.shape[0], x.shape[2]), dtype=torch.float64))
    layer = build(attention, n_heads, weights)
    _, grads = attention.vjp(layer, x, cotangent=cotangent, wrt=[0])
    checks.tensor(grads[0], shape=x.shape, dtype=torch.float64)
    checks.holds(bool((grads[0][:, t + 1 :] == 0).all()), "the gradient is 0 at every later token", grads[0])
    sees_the_past(attention)


@part(NAME, points=2)
@settings(max_examples=30)
@given(layers_and_inputs(min_t=2), st.data())
def test_a_prefix_gives_the_prefix_of_the_output(attention, case, data):
    """The first t outputs for a sequence are the outputs for its first t tokens alone."""
    n_heads, weights, x = case
    t = data.draw(st.integers(1, x.shape[1] - 1))
    layer = build(attention, n_heads, weights)
    whole, prefix = layer(x), layer(x[:, :t])
    checks.tensor(whole, shape=x.shape, dtype=torch.float64)
    checks.close(prefix, whole[:, :t].contiguous(), rtol=1e-9, atol=1e-9)
    sees_the_past(attention)


@part(NAME, points=1)
@settings(max_examples=30)
@given(padded_layers_and_inputs(min_b=2), st.randoms(use_true_random=False))
def test_sequences_of_a_batch_do_not_meet(attention, case, random):
    """Each sequence of a batch gives what it gives in any other order, with its own padding."""
    n_heads, weights, x, real = case
    order = list(range(x.shape[0]))
    random.shuffle(order)
    layer = build(attention, n_heads, weights)
    together, shuffled = layer(x, real), layer(x[order], real[order])
    alone = [layer(x[i : i + 1], real[i : i + 1]) for i in range(x.shape[0])]
    checks.close(shuffled, together[order], rtol=1e-9, atol=1e-9)
    checks.close(together, torch.cat(alone), rtol=1e-9, atol=1e-9)
    sees_the_past(attention)


@part(NAME, points=2)
@given(padded_layers_and_inputs())
def test_matches_torch_with_padding_anywhere(attention, case):
    """With a padding mask, True = real, the output is that of torch's layer, which calls real tokens False."""
    n_heads, weights, x, real = case
    layer = build(attention, n_heads, weights)
    returned = layer(x, key_padding_mask=real)
    checks.close(returned, torch_layer(x, weights, n_heads, real), rtol=1e-9, atol=1e-9)


@part(NAME, points=2)
@settings(max_examples=30)
@given(padded_layers_and_inputs(), st.data())
def test_padding_has_no_influence_on_real_tokens(attention, case, data):
    """What stands in the padding, before, between or after real tokens, changes no output of a real token."""
    n_heads, weights, x, real = case
    other = data.draw(draws.tensors(tuple(x.shape), dtype=torch.float64))
    layer = build(attention, n_heads, weights)
    changed = torch.where(real[..., None], x, other)
    checks.close(layer(changed, real)[real], layer(x, real)[real], rtol=1e-9, atol=1e-9)
    everybody = torch.ones_like(real)
    checks.close(layer(x, everybody), layer(x), rtol=1e-9, atol=1e-9)
    sees_the_past(attention)


@part(NAME, points=1)
@settings(max_examples=30)
@given(layers_and_inputs(), st.data())
def test_gradients_reach_every_weight(attention, case, data):
    """The gradients of all four linear maps are those of torch's layer, in training mode and in evaluation alike."""
    n_heads, weights, x = case
    cotangent = data.draw(draws.tensors(tuple(x.shape), dtype=torch.float64))
    layer = build(attention, n_heads, weights)
    trained, grads = attention.vjp(layer, x, cotangent=cotangent, wrt=list(weights))
    layer.eval()
    checks.close(trained, layer(x), rtol=1e-9, atol=1e-9)

    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    q, k, v = (F.linear(x, leaves[f"{name}.weight"], leaves.get(f"{name}.bias")) for name in "qkv")
    q, k, v = (torch.stack(y.split(x.shape[-1] // n_heads, dim=-1), dim=1) for y in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    y = F.linear(torch.cat(y.unbind(1), -1), leaves["out.weight"], leaves.get("out.bias"))
    expected = list(torch.autograd.grad(y, list(leaves.values()), cotangent))
    checks.close(grads, expected, rtol=1e-9, atol=1e-9)
