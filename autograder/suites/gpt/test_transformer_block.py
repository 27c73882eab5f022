"""SelfAttention, FeedForward and TransformerBlock, without a cache."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws, part
from autograder.suites.gpt.strategies import (
    Config,
    Weights,
    attention,
    block,
    block_shapes,
    configs,
    feed_forward,
    normal,
    weights_of,
)


@st.composite
def blocks_and_inputs(draw: st.DrawFn, min_t: int = 1, **options: Any) -> tuple[Config, Weights, Tensor]:
    """(config, weights of one block, x (B, T, C)) in float64."""
    config = draw(configs(**options))
    weights = weights_of(block_shapes(config), draw(draws.seeds()))
    shape = (draw(st.integers(1, 3)), draw(st.integers(min_t, 5)), config["d_model"])
    return config, weights, draw(draws.tensors(shape, dtype=torch.float64))


def made(gpt: Any, kind: str, config: Config, weights: Weights, prefix: str = "") -> Any:
    """A submission's module in float64 with those of the weights that are its own."""
    module = getattr(gpt, kind)(gpt.GPTConfig(**config))
    module.double()
    module.load_state_dict({name[len(prefix) :]: w for name, w in weights.items() if name.startswith(prefix)})
    return module


@part("TransformerBlock", points=2)
@settings(max_examples=20)
@given(blocks_and_inputs(activation="gelu"))
def test_feed_forward_uses_gelu_by_tanh(gpt, case):
    """Without a gate the feed-forward network is down(gelu(up(x))) with GELU by tanh."""
    config, weights, x = case
    returned = made(gpt, "FeedForward", config, weights, "mlp.")(x)
    checks.close(returned, feed_forward(x, weights, "mlp"), rtol=1e-9, atol=1e-10)


@part("TransformerBlock", points=1)
@settings(max_examples=20)
@given(blocks_and_inputs(activation="swiglu"))
def test_a_gate_makes_it_swiglu(gpt, case):
    """With a gate the feed-forward network is down(silu(gate(x)) * up(x))."""
    config, weights, x = case
    returned = made(gpt, "FeedForward", config, weights, "mlp.")(x)
    checks.close(returned, feed_forward(x, weights, "mlp"), rtol=1e-9, atol=1e-10)


@part("TransformerBlock", points=3)
@settings(max_examples=20)
@given(blocks_and_inputs())
def test_attention_matches_the_definition(gpt, case):
    """Each head attends to the tokens that are not later, with scores divided by sqrt(D), and `out` mixes the heads."""
    config, weights, x = case
    returned = made(gpt, "SelfAttention", config, weights, "attention.")(x)
    checks.close(returned, attention(x, weights, "attention", config["n_heads"]), rtol=1e-9, atol=1e-10)


@part("TransformerBlock", points=2)
@settings(max_examples=20)
@given(blocks_and_inputs(min_t=2), st.data())
def test_padding_is_seen_by_nobody(gpt, case, data):
    """Where `attention_mask` is False the token is seen by no other; each row has its own padding."""
    config, weights, x = case
    length = x.shape[1]
    first = data.draw(st.lists(st.integers(0, length - 1), min_size=len(x), max_size=len(x)))
    holes = data.draw(st.lists(st.booleans(), min_size=x[..., 0].numel(), max_size=x[..., 0].numel()))
    real = torch.arange(length) >= torch.tensor(first)[:, None]  # padded on the left
    if data.draw(st.booleans()):
        real = real & ~torch.tensor(holes).view(real.shape)  # or anywhere
    returned = made(gpt, "SelfAttention", config, weights, "attention.")(x, attention_mask=real)
    expected = attention(x, weights, "attention", config["n_heads"], real)
    checks.tensor(returned, shape=x.shape, dtype=x.dtype)
    checks.close(returned[real], expected[real], rtol=1e-9, atol=1e-10)


@part("TransformerBlock", points=1)
@settings(max_examples=20)
@given(blocks_and_inputs(min_t=2))
def test_a_token_always_sees_itself(gpt, case):
    """A token that is padding still sees itself, so a row of nothing but padding is that of tokens that are each
    alone."""
    config, weights, x = case
    nothing = torch.zeros(x.shape[:2], dtype=torch.bool)
    returned = made(gpt, "SelfAttention", config, weights, "attention.")(x, nothing)
    alone = attention(x.reshape(-1, 1, x.shape[-1]), weights, "attention", config["n_heads"]).view(x.shape)
    checks.close(returned, alone, rtol=1e-9, atol=1e-10)


@part("TransformerBlock", points=2)
@settings(max_examples=20)
@given(blocks_and_inputs())
def test_block_adds_two_branches_to_the_stream(gpt, case):
    """The block is y + mlp(norm_2(y)) with y = x + attention(norm_1(x)), for either norm and either activation."""
    config, weights, x = case
    returned = made(gpt, "TransformerBlock", config, weights)(x)
    checks.close(returned, block(x, weights, config), rtol=1e-9, atol=1e-9)


@part("TransformerBlock", points=1)
@settings(max_examples=5)
@given(draws.seeds())
def test_dropout_falls_on_what_a_branch_adds(gpt, seed):
    """In training, entries of what a branch adds are dropped and the others doubled (for 0.5); in evaluation none
    is."""
    config: Config = {
        "vocab_size": 3, "context_length": 8, "d_model": 8, "n_heads": 2, "n_layers": 1, "dropout": 0.5,
        "activation": "swiglu",
    }  # fmt: skip
    weights = weights_of(block_shapes(config), seed)
    x = normal((4, 8, 8), seed)
    for silent in ("mlp.down", "attention.out"):
        half = weights | {
            f"{silent}.{kind}": torch.zeros_like(weights[f"{silent}.{kind}"]) for kind in ("weight", "bias")
        }
        module = made(gpt, "TransformerBlock", config, half)
        added = block(x, half, config) - x  # by the other branch
        module.eval()
        checks.close(module(x), x + added, rtol=1e-9, atol=1e-9)
        module.train()
        dropped = module(x) - x
        zero, twice = dropped.abs() < 1e-9, (dropped - 2 * added).abs() < 1e-9
        checks.holds(bool((zero | twice).all()), "each entry that a branch adds is dropped or doubled", dropped, added)
        checks.proportion(int(zero.sum()), zero.numel(), 0.5, "the proportion of dropped entries")
