"""sentence_permutation and document_rotation."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part
from autograder.suites.t5.strategies import distribution, sentences, special_masks, texts

NAME = "sentence_noise"
END = 2


# Two special tokens around 20 sentences of one word. That they all stay in place has a probability of 1/20! = 4e-19.
LONG = torch.tensor([0, *itertools.chain(*([10 + i, END] for i in range(20))), 0])
AROUND = torch.arange(42).remainder(41) == 0


def orders(made: list[list[int]]) -> set[tuple[int, ...]]:
    return {tuple(itertools.chain(*order)) for order in itertools.permutations(made)}


@part(NAME, points=2)
@settings(max_examples=40)
@given(sentences(), draws.seeds())
def test_sentences_stay_whole(t5, made, seed):
    """The result is the sentences in some order, each with its end, and the last one too where it has none."""
    tokens = torch.tensor(list(itertools.chain(*made)))
    out, after, _ = t5.echo(t5.sentence_permutation, tokens, END, TorchSeed(seed))
    checks.tensor(out, shape=tokens.shape, dtype=torch.int64)
    checks.holds(tuple(out.tolist()) in orders(made), "the sentences are whole, in some order", out, tokens)
    checks.equal(after[0], tokens)
    checks.equal(t5.sentence_permutation(tokens, end_id=END, generator=TorchSeed(seed)), out)
    many = LONG[1:-1]
    moved = t5.sentence_permutation(many, END, TorchSeed(seed))
    checks.tensor(moved, shape=many.shape, dtype=torch.int64)
    checks.holds(moved.tolist() != many.tolist(), "20 sentences do not all stay where they are", moved)


@part(NAME, points=1)
def test_every_order_of_sentences_is_equally_likely(t5):
    """Three sentences, the last without its end, come in each of their 6 orders equally often."""
    made = [[10, END], [11, 12, END], [13]]
    generator = t5.keep(TorchSeed(4))
    tokens = torch.tensor(list(itertools.chain(*made)))
    found = distribution(lambda: t5.sentence_permutation(tokens, END, generator), 700)
    ways = sorted(orders(made))
    counts = [found[way] for way in ways]
    # 700 draws catch, with probability 1 - 1e-9, an order whose probability is 0.4 instead of 1/6, or 0.
    checks.frequencies([*counts, 700 - sum(counts)], [1 / 6] * 6 + [0.0], "the frequencies of the orders")


@part(NAME, points=1)
@settings(max_examples=30)
@given(texts(), draws.seeds())
def test_a_rotated_document_is_the_document_from_another_start(t5, tokens, seed):
    """The result is the text from one of its tokens to its end, then its beginning; nothing is lost or turned round."""
    out, after, _ = t5.echo(t5.document_rotation, tokens, TorchSeed(seed))
    checks.tensor(out, shape=tokens.shape, dtype=torch.int64)
    starts = [tokens[i:].tolist() + tokens[:i].tolist() for i in range(len(tokens))]
    checks.holds(out.tolist() in starts, "the result is a rotation of the text", out, tokens)
    checks.equal(after[0], tokens)
    checks.equal(t5.document_rotation(tokens, generator=TorchSeed(seed)), out)
    generator = t5.keep(TorchSeed(seed))
    firsts = [int(t5.document_rotation(torch.arange(2000), generator)[0]) for _ in range(4)]
    checks.holds(any(firsts), "of 2000 tokens the first does not come first four times", firsts)  # false alarm 6e-14


@part(NAME, points=1)
def test_every_start_is_equally_likely(t5):
    """A document of 5 tokens begins at each of them equally often, at its first too."""
    generator = t5.keep(TorchSeed(9))
    found = distribution(lambda: t5.document_rotation(torch.arange(5), generator), 600)
    ways = [tuple((i + k) % 5 for k in range(5)) for i in range(5)]
    counts = [found[way] for way in ways]
    # 600 draws catch, with probability 1 - 1e-9, a start whose probability is 0.47 instead of 0.2, or 0.
    checks.frequencies([*counts, 600 - sum(counts)], [0.2] * 5 + [0.0], "the frequencies of the starts")


@part(NAME, points=1)
@settings(max_examples=30)
@given(sentences(), draws.seeds(), st.data())
def test_special_tokens_stay_in_their_places(t5, made, seed, data):
    """Special tokens, padding too, stay where they are; the text between them is permuted or rotated without them."""
    text = list(itertools.chain(*made))
    special = data.draw(special_masks(len(text) + 4).filter(lambda mask: int((~mask).sum()) >= len(text)))
    places = (~special).nonzero()[: len(text), 0]
    special = torch.ones_like(special).scatter(0, places, False)
    tokens = torch.full((len(special),), END).scatter(0, places, torch.tensor(text))
    tokens[special] = torch.tensor([0, 1, END, 0] * 3)[: int(special.sum())]
    for out in (
        t5.sentence_permutation(tokens, END, TorchSeed(seed), special_mask=special),
        t5.document_rotation(tokens, TorchSeed(seed), special_mask=special),
    ):
        checks.tensor(out, shape=tokens.shape, dtype=torch.int64)
        checks.equal(out[special], tokens[special])
        rotations = {tuple(text[i:] + text[:i]) for i in range(len(text))}
        allowed = orders(made) | rotations
        checks.holds(tuple(out[~special].tolist()) in allowed, "the text between them is whole", out, tokens)
    moved = t5.sentence_permutation(LONG, END, TorchSeed(seed), special_mask=AROUND)
    checks.tensor(moved, shape=LONG.shape, dtype=torch.int64)
    checks.holds(moved.tolist() != LONG.tolist(), "20 sentences do not all stay where they are", moved)
