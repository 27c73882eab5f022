"""Counting pairs of neighbouring tokens in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.bpe import naive
from autograder.suites.bpe.strategies import several, token_lists

WORD = token_lists().map(tuple)
WORDS = several(st.tuples(WORD, st.integers(1, 9)), 5).map(dict)


@part("count_pairs", points=2)
@given(WORDS)
def test_the_counts_are_those_of_the_definition(bpe, words):
    """Every pair that occurs is there with its count, the sum over all words, and no other pair."""
    checks.equal(bpe.count_pairs(words), naive.count_pairs(words))


@part("count_pairs", points=2)
@given(st.integers(2, 9), st.integers(1, 5))
def test_occurrences_in_runs_overlap(bpe, length, frequency):
    """A word of n equal tokens holds their pair n - 1 times."""
    counts = bpe.count_pairs({(b"a",) * length: frequency})
    checks.equal(counts, {(b"a", b"a"): (length - 1) * frequency})


@part("count_pairs", points=2)
@given(WORD, st.integers(2, 1000))
def test_a_word_counts_as_often_as_it_occurs(bpe, word, frequency):
    """The counts of a word that occurs n times are n times those of the word."""
    once = naive.count_pairs({word: 1})
    checks.equal(bpe.count_pairs({word: frequency}), {pair: n * frequency for pair, n in once.items()})


@part("count_pairs", points=2)
@given(several(st.tuples(st.sampled_from([(b"a",), (b"b",), (b"c",), (b"ab",)]), st.integers(1, 9)), 5).map(dict))
def test_no_pair_reaches_from_one_word_into_another(bpe, words):
    """Words of one token have no pair, whatever other words there are."""
    checks.equal(bpe.count_pairs(words | {(b"x", b"y"): 2}), {(b"x", b"y"): 2})
