"""random_spans_noise_mask: exact counts, fixed ends, and every mask equally likely."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part
from autograder.suites.t5.strategies import DENSITIES, MEANS, counts, distribution, runs

NAME = "random_spans_noise_mask"


@part(NAME, points=2)
@given(st.integers(2, 60), DENSITIES, MEANS, draws.seeds())
def test_noise_tokens_and_runs_are_exactly_as_many_as_planned(t5, length, density, mean, seed):
    """For any density and mean span length, exactly n tokens are noise, and they stand in exactly s runs."""
    mask = t5.random_spans_noise_mask(length, density, mean, TorchSeed(seed))
    checks.tensor(mask, shape=(length,), dtype=torch.bool)
    found = (int(mask.sum()), len(runs(mask.tolist())))
    checks.holds(
        found == counts(length, density, mean),
        "noise tokens and runs are as planned",
        found,
        counts(length, density, mean),
    )


@part(NAME, points=1)
@settings(max_examples=30)
@given(st.integers(2, 30), DENSITIES, MEANS, draws.seeds())
def test_it_starts_with_text_and_ends_with_noise(t5, length, density, mean, seed):
    """The first token is never noise and the last one always is."""
    mask = t5.random_spans_noise_mask(length, noise_density=density, mean_span_length=mean, generator=TorchSeed(seed))
    checks.tensor(mask, shape=(length,), dtype=torch.bool)
    checks.equal([bool(mask[0]), bool(mask[-1])], [False, True])


@part(NAME, points=2)
def test_every_mask_is_equally_likely(t5):
    """Of 8 tokens, 4 of them noise in 2 spans, each of the C(3, 1) * C(3, 1) = 9 possible masks comes equally often."""
    generator = t5.keep(TorchSeed(5))
    found = distribution(lambda: t5.random_spans_noise_mask(8, 0.5, 2.0, generator), 1200)
    masks = [
        mask
        for mask in itertools.product((0, 1), repeat=8)
        if sum(mask) == 4 and len(runs([bool(m) for m in mask])) == 2 and (mask[0], mask[-1]) == (0, 1)
    ]
    others = sum(found.values()) - sum(found[mask] for mask in masks)
    checks.holds(
        not others, "each mask has 4 noise tokens in 2 spans, starts with text and ends with noise", dict(found)
    )
    # 1200 draws catch, with probability 1 - 1e-9, a mask whose probability is 0.27 instead of 1/9, or 0.
    checks.frequencies([found[mask] for mask in masks], [1 / len(masks)] * len(masks), "the frequencies of the masks")


@part(NAME, points=1)
def test_every_mask_is_equally_likely_at_uneven_counts(t5):
    """The same for 7 tokens, 3 of them noise in 2 spans, where noise and text are cut from
    different numbers: 6 masks.
    """
    generator = t5.keep(TorchSeed(6))
    found = distribution(lambda: t5.random_spans_noise_mask(7, 0.43, 1.5, generator), 800)
    masks = [
        mask
        for mask in itertools.product((0, 1), repeat=7)
        if sum(mask) == 3 and len(runs([bool(m) for m in mask])) == 2 and (mask[0], mask[-1]) == (0, 1)
    ]
    rest = sum(found.values()) - sum(found[mask] for mask in masks)
    # 800 draws catch, with probability 1 - 1e-9, a mask whose probability is 0.39 instead of 1/6, or 0.
    checks.frequencies([*(found[mask] for mask in masks), rest], [1 / 6] * 6 + [0.0], "the frequencies of the masks")


@part(NAME, points=1)
@settings(max_examples=20)
@given(st.sampled_from([(0, 0.5), (1, 0.5), (1, 0.15), (0, 0.0), (6, 0.0), (12, 0.0)]), MEANS, draws.seeds())
def test_no_noise_at_all(t5, case, mean, seed):
    """A text of no token or one, and a density of exactly 0, give a mask that is False throughout; of two tokens the
    last is noise.
    """
    length, density = case
    mask = t5.random_spans_noise_mask(length, density, mean, TorchSeed(seed))
    checks.equal(mask, torch.zeros(length, dtype=torch.bool))
    checks.equal(t5.random_spans_noise_mask(2, 0.5, mean, TorchSeed(seed)), torch.tensor([False, True]))


@part(NAME, points=1)
@settings(max_examples=12)
@given(draws.seeds())
def test_the_generator_decides(t5, seed):
    """Generators in the same state give the same mask; one generator gives one mask after the other."""
    one, two = (t5.random_spans_noise_mask(40, 0.4, 2.0, TorchSeed(seed)) for _ in range(2))
    checks.tensor(one, shape=(40,), dtype=torch.bool)
    checks.equal(two, one)
    generator = t5.keep(TorchSeed(seed))
    several = {tuple(t5.random_spans_noise_mask(40, 0.4, 2.0, generator).tolist()) for _ in range(6)}
    checks.holds(len(several) > 1, "the masks are not always the same", len(several))
