"""GPT.forward without a cache."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part, raises
from autograder.suites.gpt.strategies import configs, gpt_shapes, logits_of, model_of, models_and_ids, normal


@part("GPT", points=3)
@settings(max_examples=18)
@given(models_and_ids())
def test_logits_match_the_definition(gpt, case):
    """Logits are those of embeddings, positions, all blocks, the last norm and the tied head."""
    config, seed, ids = case
    model, weights = model_of(gpt, config, seed)
    checks.close(model(ids), logits_of(weights, config, ids), rtol=1e-8, atol=1e-8)


@part("GPT", points=2)
@settings(max_examples=18)
@given(models_and_ids(min_t=2), st.data())
def test_a_later_token_never_changes_earlier_logits(gpt, case, data):
    """Logits before token t stay as they are when later tokens change or are cut off."""
    config, seed, ids = case
    model, _ = model_of(gpt, config, seed)
    t = data.draw(st.integers(1, ids.shape[1] - 1))
    other = torch.cat((ids[:, :t], data.draw(draws.token_ids(tuple(ids[:, t:].shape), config["vocab_size"]))), dim=1)
    logits = model(ids)
    checks.tensor(logits, shape=(*ids.shape, config["vocab_size"]), dtype=torch.float64)
    checks.holds(bool((logits.amax(-1) > logits.amin(-1)).all()), "no position has the same logit everywhere", logits)
    logits = logits[:, :t]
    checks.close(model(other)[:, :t], logits, rtol=1e-9, atol=1e-9)
    checks.close(model(ids[:, :t]), logits, rtol=1e-9, atol=1e-9)


@part("GPT", points=1)
@settings(max_examples=18)
@given(models_and_ids(), st.data())
def test_positions_can_be_given(gpt, case, data):
    """`position_ids` says where each token of each row stands."""
    config, seed, ids = case
    model, weights = model_of(gpt, config, seed, silent=True)
    positions = data.draw(draws.token_ids(tuple(ids.shape), config["context_length"]))
    checks.close(model(ids, position_ids=positions), logits_of(weights, config, ids, positions), rtol=1e-8, atol=1e-8)


@part("GPT", points=1)
@settings(max_examples=15)
@given(configs(), draws.seeds())
def test_a_text_longer_than_the_context_is_refused(gpt, config, seed):
    """context_length tokens fit; one more raises ValueError."""
    model, weights = model_of(gpt, config, seed, silent=True)
    ids = torch.zeros(1, config["context_length"] + 1, dtype=torch.int64)
    checks.close(model(ids[:, 1:]), logits_of(weights, config, ids[:, 1:]), rtol=1e-8, atol=1e-8)
    with raises("ValueError"):
        model(ids)


@part("GPT", points=1)
@settings(max_examples=15)
@given(models_and_ids())
def test_the_head_is_the_token_embedding(gpt, case):
    """There are no parameters besides those of the handout, and the embedding learns from both ends of the model."""
    config, seed, ids = case
    model, weights = model_of(gpt, config, seed, silent=True)
    shapes = {name: tuple(w.shape) for name, w in model.state_dict().items()}
    checks.equal(shapes, gpt_shapes(config))
    cotangent = normal((*ids.shape, config["vocab_size"]), seed)
    names = ["token.weight", "position.weight"]
    _, gradients = gpt.vjp(model, ids, cotangent=cotangent, wrt=names)
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    expected = torch.autograd.grad(logits_of(leaves, config, ids), [leaves[name] for name in names], cotangent)
    checks.close(gradients, list(expected), rtol=1e-7, atol=1e-7)


@part("GPT", points=1)
@settings(max_examples=18)
@given(models_and_ids(max_b=1), st.data())
def test_left_padding_changes_nothing(gpt, case, data):
    """A text behind padding, with a mask and its own positions, has the logits that it has alone."""
    config, seed, ids = case
    model, weights = model_of(gpt, config, seed, silent=True)
    pads = data.draw(st.integers(0, config["context_length"] - ids.shape[1]))
    padded = torch.cat((data.draw(draws.token_ids((1, pads), config["vocab_size"])), ids), dim=1)
    real = torch.arange(padded.shape[1])[None] >= pads
    positions = (torch.arange(padded.shape[1])[None] - pads).clamp(min=0)
    logits = model(padded, position_ids=positions, attention_mask=real)[:, pads:]
    checks.close(logits, logits_of(weights, config, ids), rtol=1e-8, atol=1e-8)
