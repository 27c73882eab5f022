"""Seq2Seq: an encoder that sees everything, a decoder that sees the past and the encoder."""

from __future__ import annotations

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.t5.strategies import build, logits, models_and_inputs

NAME = "Seq2Seq"
FEW = settings(max_examples=15)


@part(NAME, points=2)
@FEW
@given(models_and_inputs())
def test_logits_are_those_of_t5(t5, case):
    """With the same weights the logits are T5's: pre-norm blocks, shared biases, a scaled and tied output layer."""
    sizes, weights, src, mask, tgt = case
    checks.close(
        build(t5, sizes, weights)(src, mask, tgt), logits(sizes, weights, src, mask, tgt), rtol=1e-7, atol=1e-8
    )


@part(NAME, points=1)
@FEW
@given(models_and_inputs(padded=True, min_layers=2))
def test_logits_are_those_of_t5_with_padding(t5, case):
    """The same with padding anywhere in the source and with several layers; forward is decode of encode."""
    sizes, weights, src, mask, tgt = case
    model = build(t5, sizes, weights)
    expected = logits(sizes, weights, src, mask, tgt)
    memory = model.encode(src, mask)
    checks.tensor(memory, shape=(*src.shape, sizes["d_model"]), dtype=torch.float64)
    checks.close(model.decode(memory, mask, tgt), expected, rtol=1e-7, atol=1e-8)
    checks.close(model(src, src_mask=mask, tgt_in=tgt), expected, rtol=1e-7, atol=1e-8)


@part(NAME, points=1)
@FEW
@given(models_and_inputs(min_t=2), st.data())
def test_the_decoder_does_not_see_the_future(t5, case, data):
    """Changing the target's tokens from t on leaves the logits before t as they are, and a prefix gives the first of
    them.
    """
    sizes, weights, src, mask, tgt = case
    t = data.draw(st.integers(1, tgt.shape[1] - 1))
    changed = tgt.clone()
    changed[:, t:] = data.draw(draws.token_ids((tgt.shape[0], tgt.shape[1] - t), sizes["vocab_size"]))
    model = build(t5, sizes, weights)
    before = model(src, mask, tgt)
    checks.tensor(before, shape=(*tgt.shape, sizes["vocab_size"]), dtype=torch.float64)
    checks.close(model(src, mask, changed)[:, :t], before[:, :t], rtol=1e-8, atol=1e-9)
    checks.close(model(src, mask, tgt[:, :t]), before[:, :t].contiguous(), rtol=1e-8, atol=1e-9)
    checks.holds(not torch.equal(before[:, 0], before.roll(1, -1)[:, 0]), "tokens have different logits", before[:, 0])


@part(NAME, points=1)
@FEW
@given(models_and_inputs(min_s=3), st.data())
def test_the_encoder_sees_both_ways(t5, case, data):
    """Changing the last token of the source changes what the encoder says of the first, and what the decoder says
    first.
    """
    sizes, weights, src, mask, tgt = case
    other = src.clone()
    other[:, -1] = (src[:, -1] + data.draw(st.integers(1, sizes["vocab_size"] - 1))) % sizes["vocab_size"]
    expected = [logits(sizes, weights, x, mask, tgt)[:, 0] for x in (src, other)]
    assume(float((expected[0] - expected[1]).abs().max()) > 1e-3)
    model = build(t5, sizes, weights)
    one, two = (model.encode(x, mask) for x in (src, other))
    checks.holds(
        bool((one[:, 0] != two[:, 0]).any()), "the encoder's first output depends on the last token", two[:, 0]
    )
    one, two = (model(x, mask, tgt)[:, 0] for x in (src, other))
    checks.close(two - one, expected[1] - expected[0], rtol=1e-6, atol=1e-7)


@part(NAME, points=2)
@FEW
@given(models_and_inputs(padded=True), st.integers(0, 3), st.data())
def test_padding_has_no_influence(t5, case, extra, data):
    """What stands in the source's padding, and how much of it follows, changes no logit."""
    sizes, weights, src, mask, tgt = case
    model = build(t5, sizes, weights)
    before = model(src, mask, tgt)
    checks.tensor(before, shape=(*tgt.shape, sizes["vocab_size"]), dtype=torch.float64)
    filler = data.draw(draws.token_ids((src.shape[0], src.shape[1] + extra), sizes["vocab_size"]))
    longer = torch.nn.functional.pad(mask, (0, extra))
    filled = torch.where(longer, torch.nn.functional.pad(src, (0, extra)), filler)
    checks.close(model(filled, longer, tgt), before, rtol=1e-8, atol=1e-9)
    checks.holds(not torch.equal(before, before.roll(1, -1)), "tokens have different logits", before[:, 0])


@part(NAME, points=1)
@settings(max_examples=12)
@given(models_and_inputs(padded=True), st.data())
def test_gradients_reach_every_weight(t5, case, data):
    """Gradients with respect to the embedding, both tables of biases, every norm and every linear map are T5's."""
    sizes, weights, src, mask, tgt = case
    cotangent = data.draw(draws.tensors((*tgt.shape, sizes["vocab_size"]), dtype=torch.float64))
    _, grads = t5.vjp(build(t5, sizes, weights), src, mask, tgt, cotangent=cotangent, wrt=list(weights))
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    y = logits(sizes, leaves, src, mask, tgt)
    checks.close(grads, list(torch.autograd.grad(y, list(leaves.values()), cotangent)), rtol=1e-6, atol=1e-6)
