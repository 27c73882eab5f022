"""truncate_pair and make_sentence_pair: two sentences in one sequence."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part, raises
from autograder.suites.bert.strategies import CLS, SEP, sentences, truncated

NAME = "sentence_pairs"


def numbered(n: int, start: int) -> list[int]:
    return list(range(start, start + n))


@part(NAME, points=3)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 20))
def test_the_longer_sentence_loses_its_last_token_until_both_fit(bert, len_a, len_b, max_tokens):
    """One token after the other leaves the END of the longer sentence, that of `b` where both are equally long."""
    a, b = numbered(len_a, 100), numbered(len_b, 200)
    checks.equal(bert.truncate_pair(a, b, max_tokens), truncated(a, b, max_tokens))


@part(NAME, points=1)
@given(sentences(), sentences(), st.integers(0, 4))
def test_what_fits_is_not_cut(bert, a, b, more):
    """Sentences with at most `max_tokens` tokens together stay whole, and the ones given are not changed."""
    returned, args, _ = bert.echo(bert.truncate_pair, a, b, len(a) + len(b) + more)
    checks.equal(returned, (a, b))
    cut, args, _ = bert.echo(bert.truncate_pair, a, b, 2)
    checks.equal(cut, (a[:1], b[:1]))
    checks.equal(args[:2], [a, b])


@part(NAME, points=1)
@settings(max_examples=20)
@given(sentences(), sentences(), st.integers(-1, 1))
def test_no_room_for_one_token_each_raises(bert, a, b, max_tokens):
    """Each sentence keeps at least one token: fewer than two, or than two and three special ones, raise ValueError."""
    checks.equal(bert.truncate_pair(a, b, 2), (a[:1], b[:1]))
    with raises("ValueError"):
        bert.truncate_pair(a, b, max_tokens)
    with raises("ValueError"):
        bert.make_sentence_pair(a, b, cls_id=CLS, sep_id=SEP, max_len=max_tokens + 3)


@part(NAME, points=2)
@given(sentences(), sentences(), st.integers(0, 1), st.integers(2, 3))
def test_a_pair_is_cls_a_sep_b_sep(bert, a, b, cls_id, sep_id):
    """Where both fit the ids are [CLS], a, [SEP], b, [SEP]."""
    ids, _ = bert.make_sentence_pair(a, b, cls_id=cls_id, sep_id=sep_id, max_len=len(a) + len(b) + 3)
    checks.equal(ids, [cls_id, *a, sep_id, *b, sep_id])


@part(NAME, points=2)
@given(sentences(), sentences(), st.integers(0, 3))
def test_segment_one_begins_after_the_first_sep(bert, a, b, more):
    """Segment 0 is [CLS], a and the first [SEP]; segment 1 is b and the last [SEP]."""
    _, segments = bert.make_sentence_pair(a, b, cls_id=CLS, sep_id=SEP, max_len=len(a) + len(b) + 3 + more)
    checks.equal(segments, [0] * (len(a) + 2) + [1] * (len(b) + 1))


@part(NAME, points=1)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(5, 20))
def test_max_len_counts_the_special_tokens(bert, len_a, len_b, max_len):
    """A pair has at most `max_len` ids with its special ones, exactly that many where it was cut, and ends in [SEP]."""
    a, b = numbered(len_a, 100), numbered(len_b, 200)
    ids, segments = bert.make_sentence_pair(a, b, cls_id=CLS, sep_id=SEP, max_len=max_len)
    a, b = truncated(a, b, max_len - 3)
    checks.equal((ids, segments), ([CLS, *a, SEP, *b, SEP], [0] * (len(a) + 2) + [1] * (len(b) + 1)))
