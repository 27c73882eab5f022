"""non_embedding_params, forward_flops and train_flops."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, draws, part

NAME = "training_compute"
SIZES = st.integers(1, 200)


@part(NAME, points=2)
@given(SIZES, SIZES)
def test_a_layer_has_twelve_squares(scaling, n_layers, d_model):
    """Without d_ff a layer has 12 d_model^2 weights: four squares for attention, eight for the MLP."""
    checks.equal(scaling.non_embedding_params(n_layers, d_model), 12 * n_layers * d_model**2)


@part(NAME, points=1)
@given(SIZES, SIZES, SIZES)
def test_the_mlp_may_have_another_width(scaling, n_layers, d_model, d_ff):
    """With d_ff the MLP has two matrices d_model x d_ff, and attention keeps its four squares."""
    expected = n_layers * (4 * d_model * d_model + d_model * d_ff + d_ff * d_model)
    checks.equal(scaling.non_embedding_params(n_layers, d_model, d_ff=d_ff), expected)


@part(NAME, points=2)
@given(SIZES, SIZES, SIZES, st.none() | SIZES)
def test_a_token_costs_two_flops_a_weight_and_attention(scaling, n_layers, d_model, context, d_ff):
    """A forward pass costs 2 FLOPs a weight and 2 n_layers context_length d_model for attention, each token."""
    weights = n_layers * (4 * d_model**2 + 2 * d_model * (4 * d_model if d_ff is None else d_ff))
    returned = scaling.forward_flops(n_layers, d_model, context, d_ff=d_ff)
    checks.equal(returned, 2 * weights + 2 * n_layers * context * d_model)


@part(NAME, points=1)
@given(st.integers(1, 10**12), st.integers(1, 10**14), draws.tensors((3, 1), dtype=torch.float64), draws.tensors((4,)))
def test_training_costs_six_flops_a_weight_and_token(scaling, n, d, N, D):
    """Training costs 6 N D, for numbers and for tensors that are broadcast."""
    checks.equal(scaling.train_flops(n, d), 6 * n * d)
    checks.agrees(scaling.train_flops(N, D.double()), lambda N, D: N * D * 6, N, D.double())
