"""The same for a batch: rows that are drawn one by one, and rectangular results."""

from __future__ import annotations

import itertools
from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part, raises
from autograder.suites.t5.strategies import DENSITIES, EOS, MEANS, SENTINELS, corrupted, counts, runs

NAME = "batches"


@part(NAME, points=1)
def test_rows_are_drawn_one_by_one(t5):
    """In a batch of segmentations each row is drawn by itself: two neighbours are each of the 3 * 3 pairs equally
    often.
    """
    rows = t5.random_segmentation(4, 2, TorchSeed(3), batch_size=4000)
    checks.tensor(rows, shape=(4000, 2), dtype=torch.int64)
    pairs = Counter((int(a), int(b)) for a, b in rows[:, 0].reshape(-1, 2))
    ways = list(itertools.product((1, 2, 3), repeat=2))
    checks.holds(not set(pairs) - set(ways), "4 items are cut into 2 segments of at least one", dict(pairs))
    checks.equal(rows.sum(-1), torch.full((4000,), 4))
    # 2000 pairs catch, with probability 1 - 1e-9, a pair whose probability is 0.23 instead of 1/9, or 0.
    checks.frequencies([pairs[way] for way in ways], [1 / 9] * 9, "the frequencies of pairs of neighbouring rows")


@part(NAME, points=1)
@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(0, 30), DENSITIES, MEANS, draws.seeds())
def test_every_row_is_a_mask_with_the_planned_counts(t5, batch_size, length, density, mean, seed):
    """Every row of a batch of masks has the same counts as one mask; rows are not all the same."""
    masks = t5.random_spans_noise_mask(length, density, mean, TorchSeed(seed), batch_size=batch_size)
    checks.tensor(masks, shape=(batch_size, length), dtype=torch.bool)
    for mask in masks.tolist():
        checks.equal((sum(mask), len(runs(mask))), counts(length, density, mean))
        checks.holds(length < 2 or (not mask[0] and mask[-1]), "a row starts with text and ends with noise", masks)
    many = t5.random_spans_noise_mask(30, 0.4, 2.0, TorchSeed(seed), batch_size=8)
    checks.tensor(many, shape=(8, 30), dtype=torch.bool)
    checks.holds(len({tuple(row) for row in many.tolist()}) > 1, "the rows of a batch differ", many)


@part(NAME, points=1)
@given(
    st.integers(1, 4),
    st.integers(1, 16),
    DENSITIES,
    st.floats(1.5, 6),
    st.sampled_from([None, EOS]),
    st.booleans(),
    st.data(),
)
def test_a_corrupted_batch_is_its_corrupted_rows(t5, batch_size, length, density, mean, eos_id, final, data):
    """Row b of the inputs and targets of a batch is what row b alone gives: sentinels are counted anew in each row."""
    n_noise, n_spans = counts(length, density, mean)
    tokens = data.draw(draws.token_ids((batch_size, length), 80))
    masks = []
    for _ in range(batch_size):
        cuts = [
            sorted(data.draw(st.permutations(range(1, n)))[: n_spans - 1]) if n_spans else []
            for n in (length - n_noise, n_noise)
        ]
        mask: list[bool] = []
        for value, n in ((False, length - n_noise), (True, n_noise)):
            bounds = [0, *cuts[value], n]
            mask.append([b - a for a, b in itertools.pairwise(bounds)] if n_spans else [n])
        starts_with_noise = data.draw(st.booleans())
        first, second = (mask[1], mask[0]) if starts_with_noise else (mask[0], mask[1])
        row = []
        for a, b in itertools.zip_longest(first, second, fillvalue=0):
            row += [starts_with_noise] * a + [not starts_with_noise] * b
        masks.append(row)
    mask = torch.tensor(masks, dtype=torch.bool).reshape(batch_size, length)
    inputs, targets = t5.span_corrupt(tokens, mask, SENTINELS, eos_id=eos_id, final_sentinel=final)
    rows = [corrupted(tokens[b], mask[b], SENTINELS, eos_id, final) for b in range(batch_size)]
    checks.equal(inputs, torch.stack([row[0] for row in rows]))
    checks.equal(targets, torch.stack([row[1] for row in rows]))


@part(NAME, points=1)
@settings(max_examples=15)
@given(st.integers(5, 10), draws.seeds(), st.sampled_from(["tokens", "runs", "both"]))
def test_rows_that_do_not_fit_raise(t5, length, seed, differ):
    """Rows with different numbers of noise tokens, or of runs, cannot stand in one rectangle:
    ValueError, not padding. Rows with the same numbers can.
    """
    mask = torch.zeros(2, length, dtype=torch.bool)
    mask[0, 1] = mask[0, 3] = True  # two tokens, two runs
    mask[1, {"tokens": [0, 1, 3], "runs": [1, 2], "both": [1, 2, 3]}[differ]] = True
    tokens = torch.randint(80, (2, length), generator=torch.Generator().manual_seed(seed))
    with raises("ValueError"):
        t5.span_corrupt(tokens, mask, SENTINELS)
    mask[1] = mask[0].roll(1)  # now they fit
    rows = [corrupted(tokens[b], mask[b], SENTINELS) for b in range(2)]
    expected = tuple(torch.stack(side) for side in zip(*rows, strict=True))
    checks.equal(t5.span_corrupt(tokens, mask, SENTINELS), expected)
