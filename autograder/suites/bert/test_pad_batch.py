"""pad_batch: rows of one length, and a mask that knows which tokens are real."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, part

NAME = "pad_batch"


def sequences(min_size: int = 0, ids: st.SearchStrategy[int] | None = None) -> st.SearchStrategy[list[list[int]]]:
    tokens = st.integers(0, 9) if ids is None else ids
    rows = st.lists(st.lists(tokens, min_size=min_size, max_size=6), min_size=1, max_size=4)
    return rows.filter(lambda rows: any(rows))


def padded(rows: list[list[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    t = max(len(row) for row in rows)
    ids, mask = torch.full((len(rows), t), pad_id), torch.zeros(len(rows), t, dtype=torch.bool)
    for i, row in enumerate(rows):
        for j, token in enumerate(row):
            ids[i, j], mask[i, j] = token, True
    return ids, mask


@part(NAME, points=2)
@given(sequences(ids=st.integers(5, 9)), st.integers(0, 3))
def test_rows_are_filled_up_on_the_right(bert, rows, pad_id):
    """Each row is its sequence, then `pad_id` up to the longest sequence; the mask is True exactly at the sequence."""
    checks.equal(bert.pad_batch(rows, pad_id), padded(rows, pad_id))


@part(NAME, points=2)
@given(sequences(ids=st.integers(0, 2)), st.integers(0, 2))
def test_a_real_token_may_have_the_id_of_the_padding(bert, rows, pad_id):
    """The mask comes from the lengths: a token whose id happens to be `pad_id` is still real."""
    checks.equal(bert.pad_batch(sequences=rows, pad_id=pad_id), padded(rows, pad_id))


@part(NAME, points=1)
@given(sequences(min_size=1), st.integers(0, 9), st.integers(1, 7))
def test_too_long_a_sequence_keeps_its_beginning(bert, rows, pad_id, max_len):
    """With `max_len` each sequence keeps its first tokens, and mask and rows agree."""
    checks.equal(bert.pad_batch(rows, pad_id, max_len=max_len), padded([row[:max_len] for row in rows], pad_id))


@part(NAME, points=1)
@given(sequences(min_size=1), st.integers(0, 9), st.integers(0, 3))
def test_rows_are_no_longer_than_they_must_be(bert, rows, pad_id, more):
    """A `max_len` above the longest sequence changes nothing: rows end where the longest one ends."""
    longest = max(map(len, rows))
    checks.equal(bert.pad_batch(rows, pad_id, longest + more), padded(rows, pad_id))
