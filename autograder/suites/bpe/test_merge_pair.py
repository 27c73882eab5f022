"""Replacing a pair by one token."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.bpe import naive
from autograder.suites.bpe.strategies import token_lists, tokens_and_pair


@part("merge_pair", points=2)
@given(st.integers(0, 9))
def test_runs_are_merged_from_the_left(bpe, length):
    """In a run the first two tokens are merged, then the next two; a token that is left over stays at the end."""
    expected = [b"aa"] * (length // 2) + [b"a"] * (length % 2)
    checks.equal(bpe.merge_pair([b"a"] * length, (b"a", b"a")), expected)


@part("merge_pair", points=3)
@settings(max_examples=150)
@given(tokens_and_pair())
def test_every_occurrence_is_merged(bpe, drawn):
    """Every occurrence is merged, at the beginning, in the middle and at the end, and all other tokens stay."""
    tokens, pair = drawn
    checks.equal(bpe.merge_pair(tokens, pair), naive.merge_pair(tokens, pair))


@part("merge_pair", points=2)
@settings(max_examples=120)
@given(token_lists([b"x", b"xa", b"a", b"b", b"by"]))
def test_a_pair_matches_whole_tokens(bpe, tokens):
    """Two tokens are merged if they equal the pair; that their joined bytes hold it is not enough."""
    checks.equal(bpe.merge_pair(tokens, (b"a", b"b")), naive.merge_pair(tokens, (b"a", b"b")))


@part("merge_pair", points=1, kind="self-reported")
@given(tokens_and_pair())
def test_the_argument_stays_as_it_is(bpe, drawn):
    """The tokens that are passed in are not changed."""
    tokens, pair = drawn
    merged, (after, _), _ = bpe.echo(bpe.merge_pair, tokens, pair)
    checks.equal(merged, naive.merge_pair(tokens, pair))  # who does nothing changes nothing, and earns nothing by it
    checks.equal(after, tokens)
