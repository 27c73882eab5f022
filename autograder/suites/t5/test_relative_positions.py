"""relative_position_bucket and relative_position_bias."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.t5.strategies import bias, bucket, on_an_edge

NAME = "relative_positions"
# (n_buckets, max_distance): T5's own, and others. Buckets are even in number, so that two directions share them.
SIZES = st.sampled_from([(32, 128), (32, 128), (8, 16), (16, 64), (6, 20), (32, 60), (10, 100), (64, 256)])
RELATIVE = st.one_of(st.integers(-8, 8), st.integers(-40, 40), st.integers(-400, 400))


def expected(relative: torch.Tensor, bidirectional: bool, n_buckets: int, max_distance: int) -> torch.Tensor:
    flat = [bucket(r, bidirectional, n_buckets, max_distance) for r in relative.flatten().tolist()]
    return torch.tensor(flat).reshape(relative.shape)


@st.composite
def positions(draw: st.DrawFn, bidirectional: bool) -> tuple[torch.Tensor, int, int]:
    """Relative positions of any shape, none of them exactly on an edge between two buckets where rounding decides."""
    n_buckets, max_distance = draw(SIZES)
    shape = draw(st.sampled_from([(6,), (2, 3), (1,), (2, 1, 2)]))
    some = RELATIVE.filter(lambda r: not on_an_edge(r, bidirectional, n_buckets, max_distance))
    entries = draw(st.lists(some, min_size=torch.Size(shape).numel(), max_size=torch.Size(shape).numel()))
    return torch.tensor(entries).reshape(shape), n_buckets, max_distance


@part(NAME, points=2)
@given(positions(bidirectional=True))
def test_both_directions_have_buckets_of_their_own(t5, case):
    """In the encoder half of the buckets are for keys after the query: near distances one each, far ones by their
    logarithm.
    """
    relative, n_buckets, max_distance = case
    returned = t5.relative_position_bucket(relative, bidirectional=True, n_buckets=n_buckets, max_distance=max_distance)
    checks.equal(returned, expected(relative, True, n_buckets, max_distance))


@part(NAME, points=1)
@given(positions(bidirectional=False))
def test_one_direction_uses_every_bucket_for_the_past(t5, case):
    """In the decoder all buckets are for the past, and every key from the query on is in bucket 0."""
    relative, n_buckets, max_distance = case
    returned = t5.relative_position_bucket(
        relative, bidirectional=False, n_buckets=n_buckets, max_distance=max_distance
    )
    checks.equal(returned, expected(relative, False, n_buckets, max_distance))


@part(NAME, points=1)
@settings(max_examples=4)
@given(st.booleans())
def test_defaults_are_those_of_t5(t5, bidirectional):
    """By default there are 32 buckets up to a distance of 128: whole ranges of distances, those beyond 128 too."""
    relative = torch.tensor([r for r in range(-300, 301) if not on_an_edge(r, bidirectional, 32, 128)])
    returned = t5.relative_position_bucket(relative, bidirectional=bidirectional)
    checks.equal(returned, expected(relative, bidirectional, 32, 128))


@st.composite
def tables(draw: st.DrawFn) -> tuple[torch.Tensor, int, bool, int]:
    """(table, length, bidirectional, max_distance)."""
    n_buckets, max_distance = draw(st.sampled_from([(8, 11), (6, 13), (32, 128)]))
    table = draw(draws.tensors((n_buckets, draw(st.integers(1, 3)))))
    return table, draw(st.integers(1, 7)), draw(st.booleans()), max_distance


@part(NAME, points=1)
@settings(max_examples=30)
@given(tables())
def test_the_bias_of_a_head_depends_on_key_minus_query(t5, case):
    """[0, h, i, j] is the table's entry for head h in the bucket of j - i, key minus query, with as many buckets as
    rows.
    """
    table, length, bidirectional, max_distance = case
    returned = t5.relative_position_bias(table, length, bidirectional=bidirectional, max_distance=max_distance)
    checks.equal(returned, bias(table, length, bidirectional, max_distance))


@part(NAME, points=1)
@settings(max_examples=12)
@given(tables(), st.data())
def test_the_table_learns(t5, case, data):
    """The gradient of the bias reaches the table: each entry gets the sum over the places where it was used."""
    table, length, bidirectional, max_distance = case
    cotangent = data.draw(draws.tensors((1, table.shape[1], length, length), dtype=table.dtype))
    _, grads = t5.vjp(
        t5.relative_position_bias, table, length, bidirectional=bidirectional, max_distance=max_distance,
        cotangent=cotangent, wrt=[0],
    )  # fmt: skip
    wide = table.double().requires_grad_()
    right = torch.autograd.grad(bias(wide, length, bidirectional, max_distance), wide, cotangent.double())[0]
    checks.close(grads, [right.to(table.dtype)], rtol=1e-5, atol=1e-4)
