"""attention_map, copy_loss and train_copy_task: what a small trained model looks at."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part
from autograder.suites.attention.strategies import build_copy_model, copy_models, torch_maps


@part("attention_map", points=3)
@settings(max_examples=30)
@given(copy_models())
def test_map_holds_the_weights_that_each_layer_uses(attention, case):
    """[l, h, i, j] is the weight that query i gives to key j in head h of layer l, on what enters that layer."""
    _, n_heads, n_layers, weights, tokens = case
    model = build_copy_model(attention, n_heads, n_layers, weights)
    returned = attention.attention_map(model, tokens)
    checks.close(returned, torch_maps(weights, tokens, n_heads, n_layers), rtol=1e-7, atol=1e-9)


@part("attention_map", points=1)
@settings(max_examples=30)
@given(copy_models())
def test_map_is_lower_triangular_and_its_rows_sum_to_one(attention, case):
    """Nothing above the diagonal, nothing negative, and every row sums to 1."""
    _, n_heads, n_layers, weights, tokens = case
    maps = attention.attention_map(build_copy_model(attention, n_heads, n_layers, weights), tokens)
    checks.tensor(maps, shape=(n_layers, n_heads, len(tokens), len(tokens)), dtype=torch.float64)
    checks.equal(maps.triu(1), torch.zeros_like(maps))
    checks.holds(bool((maps >= 0).all()), "no weight is negative", maps)
    checks.close(maps.sum(-1), torch.ones(maps.shape[:-1], dtype=torch.float64), rtol=1e-9)


@st.composite
def logits_and_tokens(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (B, 2 * length, V) and rows of tokens that repeat."""
    batch, length, vocab_size = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(2, 5))
    half = draw(draws.token_ids((batch, length), vocab_size))
    return draw(draws.tensors((batch, 2 * length, vocab_size))), torch.cat((half, half), dim=1)


@part("copy_task", points=2)
@given(logits_and_tokens())
def test_loss_is_the_cross_entropy_of_the_second_half(attention, case):
    """copy_loss is the mean of -ln p(token) over the tokens of the second half, each predicted one step before."""
    logits, tokens = case

    def loss(logits: torch.Tensor) -> torch.Tensor:
        length = tokens.shape[1] // 2
        log_p = torch.log_softmax(logits, -1)
        each = [log_p[b, t - 1, tokens[b, t]] for b in range(tokens.shape[0]) for t in range(length, 2 * length)]
        return -torch.stack(each).mean()

    checks.agrees(attention.copy_loss(logits, tokens), loss, logits)


@part("copy_task", points=1)
@settings(max_examples=2)
@given(draws.seeds())
def test_the_same_generator_gives_the_same_model(attention, seed):
    """The state of the generator decides the weights and the losses, one loss a step; another state gives others."""
    options = {"vocab_size": 5, "length": 3, "batch_size": 4}
    (one, losses), (two, again) = (attention.train_copy_task(3, **options, generator=TorchSeed(seed)) for _ in range(2))
    checks.holds(type(losses) is list and len(losses) == 3, "there is a list with one loss a step", losses)
    checks.close(again, losses, rtol=1e-6)
    checks.close(two.state_dict(), one.state_dict(), rtol=1e-5, atol=1e-7)
    _, others = attention.train_copy_task(3, **options, generator=TorchSeed(seed + 1))
    checks.holds(all(type(x) is float for x in losses), "the losses are floats", losses)
    checks.holds(others != losses, "another state of the generator gives other losses", others, losses)


@part("copy_task", points=3)
def test_the_model_learns_to_repeat(attention):
    """After 100 steps the loss on the second half of new sequences is below half of what a uniform guess costs."""
    vocab_size, length = 16, 8
    half = torch.randint(vocab_size, (200, length), generator=torch.Generator().manual_seed(0))
    tokens = torch.cat((half, half), dim=1)
    for seed in (1, 2, 3):
        model, _ = attention.train_copy_task(100, vocab_size=vocab_size, length=length, generator=TorchSeed(seed))
        logits = model(tokens)
        checks.tensor(logits, shape=(200, 2 * length, vocab_size), dtype=torch.float32)
        loss = torch.nn.functional.cross_entropy(logits[:, length - 1 : -1].flatten(0, 1), tokens[:, length:].flatten())
        # A uniform guess costs ln 16 = 2.77 nats. The reference ends below 0.02 on each of 20 seeds.
        checks.holds(
            float(loss) < math.log(vocab_size) / 2, "the loss on new sequences is below ln(16) / 2 nats", float(loss)
        )
