"""random_segmentation: every composition of a number, with equal probability."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part, raises
from autograder.suites.t5.strategies import distribution

NAME = "random_segmentation"


@st.composite
def items_and_segments(draw: st.DrawFn) -> tuple[int, int]:
    n_items = draw(st.integers(1, 30))
    return n_items, draw(st.integers(1, n_items))


@part(NAME, points=2)
@settings(max_examples=30)
@given(items_and_segments(), draws.seeds())
def test_segments_are_positive_and_sum_to_the_items(t5, sizes, seed):
    """There are n_segments whole numbers, none below 1, and they sum to n_items: also for one segment, and for segments
    of one.
    """
    n_items, n_segments = sizes
    segments = t5.random_segmentation(n_items, n_segments, TorchSeed(seed))
    checks.tensor(segments, shape=(n_segments,), dtype=torch.int64)
    checks.holds(bool((segments >= 1).all()), "every segment holds at least one item", segments)
    checks.holds(int(segments.sum()) == n_items, f"the segments sum to {n_items}", segments)


@part(NAME, points=2)
def test_every_composition_is_equally_likely(t5):
    """6 items are cut into 3 segments in each of the C(5, 2) = 10 possible ways equally often."""
    generator = t5.keep(TorchSeed(11))
    counts = distribution(lambda: t5.random_segmentation(6, 3, generator), 1200)
    ways = [way for way in itertools.product(range(1, 7), repeat=3) if sum(way) == 6]
    others = sum(counts.values()) - sum(counts[way] for way in ways)
    checks.holds(not others, "each result is a way to cut 6 items into 3 segments", dict(counts))
    # 1200 draws catch, with probability 1 - 1e-9, a way whose probability is 0.25 instead of 0.1, or 0.
    checks.frequencies([counts[way] for way in ways], [1 / len(ways)] * len(ways), "the frequencies of the ways to cut")


@part(NAME, points=1)
@settings(max_examples=12)
@given(st.integers(1, 8), st.integers(1, 5), draws.seeds())
def test_the_generator_decides_and_impossible_cuts_raise(t5, n_items, extra, seed):
    """Generators in the same state give the same segments; more segments than items, or none at
    all, is a ValueError.
    """
    calls = [t5.random_segmentation(20, 8, TorchSeed(seed)) for _ in range(3)]
    checks.equal(calls[1], calls[0])
    checks.equal(calls[2], calls[0])
    generator = t5.keep(TorchSeed(seed))
    several = {tuple(t5.random_segmentation(20, 8, generator).tolist()) for _ in range(8)}
    checks.holds(len(several) > 1, "a generator moves on between two calls", sorted(several))
    for n_segments in (n_items + extra, 0):
        with raises("ValueError"):
            t5.random_segmentation(n_items, n_segments, TorchSeed(seed))
