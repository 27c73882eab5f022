"""lm_loss, perplexity, bits_per_byte: what a language model is measured by."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws, part, raises
from autograder.suites.gpt.strategies import continuations, tables


def definition(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    """Minus the mean log-probability, one target after the other."""
    log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    counted = [(b, t, y) for b, row in enumerate(targets.tolist()) for t, y in enumerate(row) if y != ignore_index]
    return -torch.stack([log_p[b, t, y] for b, t, y in counted]).mean()


def is_the_loss(returned: Any, logits: Tensor, targets: Tensor, ignore_index: int = -100) -> None:
    """`returned` is the definition's value, up to roundings of the size of the logits: ln(sum exp z) - z cancels."""
    expected = definition(logits.double(), targets, ignore_index)
    expected = expected.to(torch.promote_types(logits.dtype, torch.float32))
    unit = checks.HONEST_ERRORS * torch.finfo(expected.dtype).eps
    checks.close(returned, expected, rtol=unit, atol=unit * float(logits.double().abs().max()))


@st.composite
def logits_and_targets(
    draw: st.DrawFn, ignore_index: int | None = None, half: bool = False, elements: str = "normal"
) -> tuple[Tensor, Tensor]:
    """Logits (B, T, V) and targets (B, T), of which at least one is not `ignore_index`."""
    batch, t, v = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(2, 5))
    logits = draw(draws.tensors((batch, t, v), dtype=draws.float_dtypes(half=half), elements=elements))
    targets = draw(draws.token_ids((batch, t), v))
    if ignore_index is not None:
        hidden = draw(st.lists(st.booleans(), min_size=batch * t, max_size=batch * t))
        order = draw(st.permutations(range(batch * t)))
        hidden[order[-1]], hidden[order[0]] = True, False  # at least one of each, where there are two
        targets = targets.masked_fill(torch.tensor(hidden).view(batch, t), ignore_index)
    return logits, targets


@part("lm_loss", points=1)
@settings(max_examples=20)
@given(logits_and_targets(half=True))
def test_loss_is_the_mean_of_minus_log_p(gpt, case):
    """lm_loss is the mean of -ln p(target) over all targets; logits of half precision give float32."""
    logits, targets = case
    is_the_loss(gpt.lm_loss(logits, targets), logits, targets)


@part("lm_loss", points=1)
@settings(max_examples=20)
@given(st.data(), st.sampled_from([-100, -1, -1, 0]))
def test_ignored_targets_do_not_count(gpt, data, ignore_index):
    """A target that is `ignore_index` counts neither in the sum nor in the mean, and its logits have no gradient."""
    logits, targets = data.draw(logits_and_targets(ignore_index=ignore_index))
    if bool((targets == ignore_index).all()):
        return
    more = {} if ignore_index == -100 else {"ignore_index": ignore_index}
    one = torch.ones((), dtype=logits.dtype)
    loss, (gradient,) = gpt.vjp(gpt.lm_loss, logits, targets, **more, cotangent=one, wrt=[0])
    is_the_loss(loss, logits, targets, ignore_index)
    unused = gradient[targets == ignore_index]
    checks.equal(unused, torch.zeros_like(unused))


@part("lm_loss", points=1)
@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 5), draws.float_dtypes(), draws.seeds())
def test_nothing_to_predict_costs_nothing(gpt, batch, t, v, dtype, seed):
    """With every target ignored the loss is 0 and its gradient is 0, not NaN."""
    logits = torch.randn(batch, t, v, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    targets = torch.full((batch, t), -100)
    one = torch.ones((), dtype=dtype)
    loss, (gradient,) = gpt.vjp(gpt.lm_loss, logits, targets, cotangent=one, wrt=[0])
    checks.equal(loss, torch.zeros((), dtype=dtype))
    checks.equal(gradient, torch.zeros_like(logits))
    targets[-1, -1] = v - 1  # one that counts, and the loss is its own
    is_the_loss(gpt.lm_loss(logits, targets), logits, targets)


@part("lm_loss", points=1)
@settings(max_examples=20)
@given(st.data())
def test_large_logits_stay_finite(gpt, data):
    """Logits of a million give a finite loss, and a number added to all logits of a position changes nothing."""
    logits, targets = data.draw(logits_and_targets(elements="extreme"))
    is_the_loss(gpt.lm_loss(logits * 100, targets), logits * 100, targets)
    logits = logits.double()
    moved = gpt.lm_loss(logits + 1000.0, targets)
    checks.close(moved, definition(logits, targets), rtol=1e-9, atol=1e-9)


@part("lm_loss", points=1)
@settings(max_examples=10)
@given(tables(max_v=3), st.integers(1, 3))
def test_probabilities_of_all_texts_sum_to_one(gpt, logits, n):
    """The chain rule: n times the loss of a text of n tokens is -ln of its probability, and all texts together have
    1."""
    total = 0.0
    for tokens, log_p in continuations(logits, 0, n):
        given_logits = logits[torch.tensor([[0, *tokens[:-1]]])]
        nll = n * gpt.lm_loss(given_logits, torch.tensor([tokens]))
        checks.close(nll, torch.tensor(-log_p, dtype=torch.float64), rtol=1e-9, atol=1e-12)
        total += math.exp(-float(nll))
    checks.close(total, 1.0, rtol=1e-9)


@part("lm_loss", points=1)
@settings(max_examples=20)
@given(st.floats(0, 500), st.integers(1, 100))
def test_perplexity_is_the_exponential_of_the_mean(gpt, nll, n):
    """perplexity is exp(total / tokens); a uniform guess among V has perplexity V; without a token it raises
    ValueError."""
    nll = min(nll, 300.0 * n)
    checks.close(gpt.perplexity(nll, n), math.exp(nll / n), rtol=1e-9)
    checks.close(gpt.perplexity(total_nll=n * math.log(7), n_tokens=n), 7.0, rtol=1e-9)
    with raises("ValueError"):
        gpt.perplexity(nll, 0)


@part("lm_loss", points=1)
@settings(max_examples=20)
@given(st.floats(0, 1e6), st.integers(1, 10**6))
def test_bits_per_byte_are_nats_by_ln_2(gpt, nll, n):
    """bits_per_byte is total / (bytes ln 2); guessing bytes uniformly costs 8 bits; without a byte it raises
    ValueError."""
    checks.close(gpt.bits_per_byte(nll, n), nll / n / math.log(2), rtol=1e-9, atol=1e-12)
    checks.close(gpt.bits_per_byte(total_nll=n * math.log(256), n_bytes=n), 8.0, rtol=1e-9)
    with raises("ValueError"):
        gpt.bits_per_byte(nll, 0)
