"""shift_right: what the decoder reads."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part

NAME = "shift_right"


@st.composite
def labels(draw: st.DrawFn, shape: tuple[int, ...] | None = None, ignored: bool = False) -> torch.Tensor:
    """Labels (B, T), with -100 in places if `ignored`."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 6))) if shape is None else shape
    x = draw(draws.token_ids(shape, 9))
    if ignored:
        keep = draw(draws.token_ids(shape, 2)).bool()
        x = torch.where(keep, x, -100)
    return x


@part(NAME, points=2)
@settings(max_examples=30)
@given(labels(), st.integers(0, 12), st.integers(0, 12))
def test_the_start_comes_first_and_the_last_label_goes(t5, x, start_id, pad_id):
    """Each row is start_id and then all of its labels but the last, also where a label equals the pad id."""
    expected = torch.tensor([[start_id, *row[:-1]] for row in x.tolist()])
    checks.equal(t5.shift_right(x, start_id=start_id, pad_id=pad_id), expected)


@part(NAME, points=1)
@settings(max_examples=40)
@given(labels(ignored=True), st.integers(0, 12), st.integers(0, 12))
def test_ignored_labels_become_padding(t5, x, start_id, pad_id):
    """A label of -100, wherever it stands, is read as pad_id: the result holds no negative number."""
    rows = [[start_id, *(pad_id if i == -100 else i for i in row[:-1])] for row in x.tolist()]
    checks.equal(t5.shift_right(x, start_id=start_id, pad_id=pad_id), torch.tensor(rows))


@part(NAME, points=1)
@settings(max_examples=30)
@given(
    st.sampled_from([(5,), (1,), (2, 2, 3), (1, 4), (3, 1)]).flatmap(lambda s: labels(shape=s, ignored=True)),
    st.integers(0, 9),
)
def test_any_leading_dimensions(t5, x, start_id):
    """The last dimension is shifted, whatever comes before it; the labels themselves stay as they are."""
    y, after, _ = t5.echo(t5.shift_right, x, start_id=start_id, pad_id=7)
    flat = x.reshape(-1, x.shape[-1]).tolist()
    expected = torch.tensor([[start_id, *(7 if i == -100 else i for i in row[:-1])] for row in flat]).reshape(x.shape)
    checks.equal(y, expected)
    checks.equal(after[0], x)
