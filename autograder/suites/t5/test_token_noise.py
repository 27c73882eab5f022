"""token_masking and token_deletion: every token by itself."""

from __future__ import annotations

import itertools
from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part
from autograder.suites.t5.strategies import is_subsequence, special_masks, texts

NAME = "token_noise"
MASK = 90


@part(NAME, points=1)
@settings(max_examples=40)
@given(texts(min_length=0), st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)), draws.seeds())
def test_masking_replaces_and_deletion_drops(t5, tokens, p, seed):
    """Masking keeps the length, and every token or mask_id in its place; deletion keeps the order. p = 0 does nothing,
    p = 1 all.
    """
    masked, after, _ = t5.echo(t5.token_masking, tokens, p, MASK, TorchSeed(seed))
    deleted = t5.token_deletion(tokens, p, TorchSeed(seed))
    checks.equal(after[0], tokens)
    checks.tensor(masked, shape=tokens.shape, dtype=torch.int64)
    checks.holds(bool(((masked == tokens) | (masked == MASK)).all()), "each entry is the token or mask_id", masked)
    checks.tensor(deleted, dtype=torch.int64)
    checks.holds(is_subsequence(deleted.tolist(), tokens.tolist()), "the rest keeps its order", deleted)
    if p in (0.0, 1.0):
        checks.equal(masked, torch.full_like(tokens, MASK) if p else tokens)
        checks.equal(deleted, tokens[:0] if p else tokens)
    checks.equal(t5.token_masking(tokens, p, mask_id=MASK, generator=TorchSeed(seed)), masked)


def pairs(chosen: torch.Tensor) -> list[int]:
    """How often two neighbours are (F, F), (F, T), (T, F), (T, T)."""
    found = Counter(map(tuple, chosen.reshape(-1, 2).tolist()))
    return [found[pair] for pair in itertools.product((False, True), repeat=2)]


@part(NAME, points=1)
def test_masking_decides_token_by_token(t5):
    """Each token is masked with probability p, whatever happens to its neighbour and however long the text is."""
    tokens = torch.arange(100, 40100)
    for p in (0.15, 0.6):
        masked = t5.token_masking(tokens, p, MASK, TorchSeed(1))
        checks.tensor(masked, shape=(40000,), dtype=torch.int64)
        expected = [(1 - p) * (1 - p), (1 - p) * p, p * (1 - p), p * p]
        # 20,000 pairs catch, with probability 1 - 1e-9, a probability that is 0.05 too high.
        checks.frequencies(pairs(masked == MASK), expected, f"neighbours that are masked at p = {p}")
    generator = t5.keep(TorchSeed(2))
    # 400 draws catch, with probability 1 - 1e-9, 0.59 instead of 0.25, or 0.
    short = [int((t5.token_masking(tokens[:2], 0.5, MASK, generator) == MASK).sum()) for _ in range(400)]
    checks.frequencies(
        [short.count(n) for n in range(3)], [0.25, 0.5, 0.25], "masks in a text of two tokens at p = 0.5"
    )


@part(NAME, points=2)
def test_deletion_decides_token_by_token(t5):
    """Each token is dropped with probability p, whatever happens to its neighbour and however long the text is."""
    tokens = torch.arange(100, 40100)
    for p in (0.15, 0.6):
        kept = t5.token_deletion(tokens, p, TorchSeed(1))
        checks.tensor(kept, dtype=torch.int64)
        gone = ~torch.isin(tokens, kept)
        checks.equal(kept, tokens[~gone])
        expected = [(1 - p) * (1 - p), (1 - p) * p, p * (1 - p), p * p]
        checks.frequencies(pairs(gone), expected, f"neighbours that are dropped at p = {p}")
    generator = t5.keep(TorchSeed(2))
    short = [2 - len(t5.token_deletion(tokens[:2], 0.5, generator)) for _ in range(400)]
    checks.frequencies([short.count(n) for n in range(3)], [0.25, 0.5, 0.25], "tokens dropped of two at p = 0.5")


@part(NAME, points=2)
@settings(max_examples=30)
@given(texts(), st.floats(0.3, 1), draws.seeds(), st.data())
def test_special_tokens_are_never_touched(t5, tokens, p, seed, data):
    """A special token is neither masked nor dropped, and at p = 1 every other token is."""
    special = data.draw(special_masks(len(tokens)))
    masked = t5.token_masking(tokens, p, MASK, TorchSeed(seed), special_mask=special)
    checks.tensor(masked, shape=tokens.shape, dtype=torch.int64)
    checks.equal(masked[special], tokens[special])
    marked = torch.where(special, tokens + 1000, tokens)
    deleted = t5.token_deletion(marked, p, TorchSeed(seed), special_mask=special)
    checks.tensor(deleted, dtype=torch.int64)
    checks.equal(deleted[deleted >= 1000], marked[special])
    checks.equal(t5.token_masking(tokens, 1.0, MASK, special_mask=special), torch.where(special, tokens, MASK))
    checks.equal(t5.token_deletion(tokens, 1.0, special_mask=special), tokens[special])
