"""BertLayer: post-norm, exact GELU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings

from autograder.judge import checks, draws, part
from autograder.suites.bert.strategies import build, layer_cases, normal, torch_layer

NAME = "BertLayer"


@part(NAME, points=2)
@given(layer_cases())
def test_matches_torch_with_the_norms_after_the_sums(bert, case):
    """With the same weights the output is that of torch.nn.TransformerEncoderLayer, post-norm and with exact GELU."""
    config, weights, x, _ = case
    layer = build(bert, NAME, config, weights)
    checks.agrees(layer(x), torch_layer, x, weights, config, None)


@part(NAME, points=2)
@given(layer_cases(min_t=2))
def test_the_mask_reaches_the_attention(bert, case):
    """With a mask of real tokens the output is that of torch's layer."""
    config, weights, x, real = case
    layer = build(bert, NAME, config, weights)
    checks.agrees(layer(x, real), torch_layer, x, weights, config, real)


@part(NAME, points=1)
@settings(max_examples=20)
@given(layer_cases())
def test_dropout_acts_on_both_branches_and_not_on_the_residual(bert, case):
    """With dropout = 1 both branches vanish in training and the two norms of x are left; evaluation drops nothing."""
    config, weights, x, _ = case
    layer = build(bert, NAME, config | {"dropout": 1.0}, weights)

    def norms(x: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        for name in ("attention_norm", "ff_norm"):
            x = F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], config["eps"])
        return x

    checks.agrees(layer(x), norms, x, weights)
    layer.eval()
    checks.agrees(layer(x), torch_layer, x, weights, config, None)


@part(NAME, points=1)
@settings(max_examples=20)
@given(layer_cases(), draws.seeds())
def test_gradients_reach_every_weight(bert, case, seed):
    """Every weight of the layer gets the gradient that torch's own layer gives it."""
    config, weights, x, real = case
    layer = build(bert, NAME, config, weights)
    cotangent = normal(tuple(x.shape), seed)
    _, grads = bert.vjp(layer, x, real, cotangent=cotangent, wrt=list(weights))
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    expected = torch.autograd.grad(torch_layer(x, leaves, config, real), list(leaves.values()), cotangent)
    for grad, want in zip(grads, expected, strict=True):
        checks.close(grad, want, rtol=1e-7, atol=1e-8 * float(1 + want.abs().max()))
