"""token_logprobs and sequence_logprobs: how probable a response is after its prompt."""

from __future__ import annotations

from itertools import product

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws, part
from autograder.suites.rlhf.strategies import ALL_DTYPES, bools, garbage, normal, sizes

NAME = "sequence_logprobs"


@st.composite
def texts(draw: st.DrawFn, dtype=torch.float64, min_t: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """(logits (B, T, V), input_ids (B, T), response_mask (B, T)); the response is anywhere, even in column 0."""
    b, t = draw(sizes(min_t=min_t))
    vocab_size, kind = draw(st.integers(1, 4)), draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    logits = draw(draws.tensors((b, t, vocab_size), dtype=kind))
    return logits, draw(draws.token_ids((b, t), vocab_size)), draw(bools((b, t)))


def each(logits: Tensor, input_ids: Tensor) -> Tensor:
    """The log-probability of each token but the first, by loops."""
    b, t = input_ids.shape
    rows = [
        torch.stack([torch.log_softmax(logits[i, j], -1)[input_ids[i, j + 1]] for j in range(t - 1)]) for i in range(b)
    ]
    return torch.stack(rows)


def summed(logits: Tensor, input_ids: Tensor, response_mask: Tensor) -> Tensor:
    return torch.where(response_mask[:, 1:], each(logits, input_ids), 0.0).sum(1)


@part(NAME, points=2)
@given(texts(dtype=ALL_DTYPES))
def test_logits_are_for_the_token_after(rlhf, case):
    """token_logprobs[:, t] is the log-probability of token t + 1 under the logits at t: one column less than tokens."""
    logits, input_ids, _ = case
    checks.agrees(rlhf.token_logprobs(logits, input_ids), lambda logits: each(logits, input_ids), logits)


@part(NAME, points=2)
@given(texts())
def test_the_tokens_of_the_response_are_summed(rlhf, case):
    """sequence_logprobs is the sum, not the mean, over all tokens of the response, its first one included."""
    checks.close(rlhf.sequence_logprobs(*case), summed(*case), rtol=1e-9, atol=1e-12)


@part(NAME, points=1)
@settings(max_examples=30)
@given(texts(), st.data())
def test_only_what_predicts_the_response_matters(rlhf, case, data):
    """Logits that predict the prompt or the padding change nothing, and the gradient there is exactly 0."""
    logits, input_ids, mask = case
    used = torch.cat((mask[:, 1:], torch.zeros_like(mask[:, :1])), dim=1)[..., None]
    filled = torch.where(used, logits, data.draw(garbage(logits)))
    cotangent = data.draw(draws.tensors((len(mask),), dtype=torch.float64))
    result, grads = rlhf.vjp(rlhf.sequence_logprobs, filled, input_ids, mask, cotangent=cotangent, wrt=[0])
    leaf = logits.clone().requires_grad_()
    expected = summed(leaf, input_ids, mask)
    checks.close(result, expected.detach(), rtol=1e-9, atol=1e-12)
    right = torch.autograd.grad(expected, leaf, cotangent)[0]
    checks.close(grads, [right], rtol=1e-9, atol=1e-12)
    checks.holds(bool((grads[0][~used.expand_as(logits)] == 0).all()), "the gradient elsewhere is 0", grads[0])


@part(NAME, points=1)
@settings(max_examples=20)
@given(st.integers(2, 3), st.integers(1, 3), draws.seeds())
def test_probabilities_of_all_responses_sum_to_one(rlhf, vocab_size, length, seed):
    """exp(sequence_logprobs) of all responses of one length sums to 1: each is a probability given the prompt."""
    table = normal((vocab_size, vocab_size), seed)  # logits by the token before
    responses = torch.tensor(list(product(range(vocab_size), repeat=length)))
    input_ids = torch.cat((torch.zeros(len(responses), 2, dtype=torch.long), responses), dim=1)
    mask = (torch.arange(length + 2) >= 2).expand(input_ids.shape)
    returned = rlhf.sequence_logprobs(table[input_ids], input_ids, mask)
    checks.close(returned, summed(table[input_ids], input_ids, mask), rtol=1e-9, atol=1e-12)
    checks.close(returned.exp().sum(), torch.tensor(1.0, dtype=torch.float64), rtol=1e-9)


@part(NAME, points=1)
@settings(max_examples=30)
@given(texts(), st.sampled_from([1e2, 1e3, 1e4]))
def test_large_logits_and_empty_responses(rlhf, case, size):
    """Logits of ten thousand stay finite; a row without a response, or with column 0 alone, gives 0."""
    logits, input_ids, mask = case
    mask = torch.cat((mask, mask[:1] & (torch.arange(mask.shape[1]) == 0)))  # one more row, without a response
    logits, input_ids = torch.cat((logits, logits[:1])) * size, torch.cat((input_ids, input_ids[:1]))
    checks.close(rlhf.sequence_logprobs(logits, input_ids, mask), summed(logits, input_ids, mask), rtol=1e-9, atol=1e-9)
