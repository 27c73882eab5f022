"""sample_next: one token for each row, drawn as often as it should be."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from torch import Tensor

from autograder.judge import TorchSeed, checks, draws, part
from autograder.suites.gpt.strategies import distinct_logits

DRAWS = 40_000  # an id of probability .1 that comes with .122 or more is caught with probability 1 - 1e-9

# Probabilities .4, .3, .2, .1: what is kept depends on the order of the filters and on the temperature.
LOGITS = torch.tensor([0.2, 0.4, 0.1, 0.3], dtype=torch.float64).log()


def counts(tokens: Tensor, v: int) -> list[int]:
    checks.tensor(tokens, shape=(DRAWS,), dtype=torch.int64)
    checks.holds(bool(((tokens >= 0) & (tokens < v)).all()), f"tokens are ids below {v}", tokens.unique())
    return tokens.bincount(minlength=v).tolist()


def chances(logits: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> list[float]:
    """Probabilities of each id, by the definition."""
    p = (logits / temperature).softmax(-1)
    order = p.argsort(descending=True)
    kept = order[: len(p) if top_k is None else top_k]
    if top_p is not None:
        masses = p[kept].cumsum(0) / p[kept].sum()
        kept = kept[: int((masses < top_p).sum()) + 1]
    final = torch.zeros_like(p)
    final[kept] = p[kept] / p[kept].sum()
    return final.tolist()


@part("sample_next", points=1)
def test_tokens_come_as_often_as_they_should(gpt):
    """Temperature, then top-k, then top-p on what top-k left: each token comes with the probability that this gives
    it."""
    cases = [
        (1.0, None, None),
        (0.5, None, None),
        (2.0, None, None),
        (1.0, 2, None),
        (1.0, None, 0.65),
        (1.0, 2, 0.55),  # .4 / (.4 + .3) is enough mass; of all it would not be
        (0.25, None, 0.6),  # tempered, one token is enough
        (3.0, 3, 0.7),
    ]
    for number, (temperature, top_k, top_p) in enumerate(cases):
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        options = {name: value for name, value in options.items() if value is not None}
        tokens = gpt.sample_next(LOGITS.expand(DRAWS, -1), **options, generator=TorchSeed(number))
        checks.frequencies(counts(tokens, 4), chances(LOGITS, temperature, top_k, top_p), f"the tokens at {options}")


@part("sample_next", points=1)
def test_rows_are_drawn_independently(gpt):
    """The tokens of two rows are independent, neighbours in the batch or not."""
    p = LOGITS.softmax(-1)
    tokens = gpt.sample_next(LOGITS.float().expand(DRAWS, -1), generator=TorchSeed(1))
    counts(tokens, 4)
    expected = (p[:, None] * p).flatten().tolist()
    for a, b in ((tokens[0::2], tokens[1::2]), (tokens[: DRAWS // 2], tokens[DRAWS // 2 :])):
        checks.frequencies((a * 4 + b).bincount(minlength=16).tolist(), expected, "the tokens of two rows together")


@part("sample_next", points=1)
def test_each_row_has_its_own_distribution(gpt):
    """Rows with different logits are drawn from their own, filters included."""
    rows = torch.stack([LOGITS, LOGITS.roll(1), LOGITS.flip(0) * 4])
    for options in ({}, {"top_k": 2}, {"top_p": 0.65}, {"temperature": 0.5, "top_k": 3, "top_p": 0.8}):
        tokens = gpt.sample_next(rows.repeat(DRAWS // 2, 1), **options, generator=TorchSeed(2))
        checks.tensor(tokens, shape=(3 * (DRAWS // 2),), dtype=torch.int64)
        for i, row in enumerate(rows):
            expected = chances(row, options.get("temperature", 1.0), options.get("top_k"), options.get("top_p"))
            found = tokens[i::3].bincount(minlength=4).tolist()
            checks.frequencies(found, expected, f"the tokens of row {i} at {options}")


@part("sample_next", points=1)
@settings(max_examples=25)
@given(distinct_logits(max_b=4), draws.seeds())
def test_the_generator_decides_the_tokens(gpt, logits, seed):
    """The state of the generator decides the tokens, and drawing moves it on; at temperature 0 it is the best of each
    row."""
    checks.equal(gpt.sample_next(logits, temperature=0.0, generator=TorchSeed(seed)), logits.argmax(-1))
    even = torch.zeros(40, 8)
    first = gpt.sample_next(even, generator=TorchSeed(seed))
    kept = gpt.keep(TorchSeed(seed))
    checks.equal(gpt.sample_next(even, generator=kept), first)
    second = gpt.sample_next(even, generator=kept)  # 40 equal tokens of 8: below 1e-36
    checks.holds(not torch.equal(second, first), "the next draw is another one", second, first)
