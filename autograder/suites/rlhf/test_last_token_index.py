"""last_token_index: where a text ends."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.rlhf.strategies import bools, real_tokens, sizes

NAME = "last_token_index"


def last(mask: torch.Tensor) -> torch.Tensor:
    return torch.tensor([max(i for i, real in enumerate(row) if real) for row in mask.tolist()])


@part(NAME, points=1)
@settings(max_examples=30)
@given(sizes(max_t=7), st.data())
def test_padding_on_the_right(rlhf, size, data):
    """With padding on the right, or none, it is the position (int64) of the last real token of each row."""
    b, t = size
    lengths = data.draw(st.lists(st.integers(1, t), min_size=b, max_size=b))
    mask = torch.arange(t) < torch.tensor(lengths)[:, None]
    checks.equal(rlhf.last_token_index(mask), torch.tensor(lengths) - 1)


@part(NAME, points=1)
@settings(max_examples=30)
@given(sizes(max_t=7, min_t=2), st.data())
def test_padding_on_the_left(rlhf, size, data):
    """With padding on the left the last real token of every row is in the last column."""
    b, t = size
    lengths = data.draw(st.lists(st.integers(1, t), min_size=b, max_size=b))
    mask = torch.arange(t) >= t - torch.tensor(lengths)[:, None]
    checks.equal(rlhf.last_token_index(mask), torch.full((b,), t - 1))


@part(NAME, points=1, kind="self-reported")
@settings(max_examples=40)
@given(sizes(max_t=7), st.data())
def test_padding_anywhere(rlhf, size, data):
    """With padding on both sides, or between real tokens, it is still the last one; the mask stays as it is."""
    b, t = size
    mask = data.draw(st.one_of(real_tokens(b, t), bools((b, t)))).clone()
    mask[:, data.draw(st.integers(0, t - 1))] = True
    found, after, _ = rlhf.echo(rlhf.last_token_index, mask)
    checks.equal(found, last(mask))
    checks.equal(after[0], mask)
