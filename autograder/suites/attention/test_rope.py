"""apply_rope: rotations of interleaved pairs by angles that grow with the position.

Angles may be taken in float32 whatever the dtype of the input, so values are compared within the error of a float32
angle at the largest position, and no closer.
"""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.attention.strategies import HALF

NAME = "apply_rope"


@st.composite
def vectors(draw: st.DrawFn, dtype=None, min_t: int = 1, lead: int = 2) -> torch.Tensor:
    """x (..., T, d) with an even d."""
    shape = (*draw(draws.shapes(0, lead, max_side=3)), draw(st.integers(min_t, 5)), 2 * draw(st.integers(1, 4)))
    return draw(draws.tensors(shape, dtype=dtype))


@st.composite
def whole_positions(draw: st.DrawFn, shape: tuple[int, ...], high: int = 4000) -> torch.Tensor:
    """Positions in any order, as of packed or left-padded sequences."""
    count = torch.Size(shape).numel()
    top = draw(st.sampled_from([3, 40, high]))
    return torch.tensor(draw(st.lists(st.integers(0, top), min_size=count, max_size=count))).reshape(shape)


def rotate(x: torch.Tensor, positions: torch.Tensor, theta: float = 10000.0) -> torch.Tensor:
    """Complex multiplication in float64."""
    half = x.shape[-1] // 2
    angles = positions[..., None].double() * torch.pow(theta, -torch.arange(half, dtype=torch.float64) / half)
    pairs = torch.view_as_complex(x.double().unflatten(-1, (half, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def agrees(returned: torch.Tensor, x: torch.Tensor, positions: torch.Tensor, theta: float = 10000.0) -> None:
    angle = 8 * torch.finfo(torch.float32).eps * (1 + int(positions.max()))
    atol = (angle + 8 * torch.finfo(x.dtype).eps) * float(x.abs().max())
    checks.close(returned, rotate(x, positions, theta).to(x.dtype), rtol=0.0, atol=atol)


@part(NAME, points=2)
@given(vectors(), st.data())
def test_rotates_interleaved_pairs(attention, x, data):
    """Channels (2i, 2i + 1) of a token at position p turn counter-clockwise by p * theta^(-2i / d) radians."""
    positions = data.draw(whole_positions((x.shape[-2],)))
    agrees(attention.apply_rope(x, positions), x, positions)


@part(NAME, points=1)
@settings(max_examples=25)
@given(vectors())
def test_positions_default_to_the_order_of_the_tokens(attention, x):
    """Without positions the tokens are at 0, 1, ..., T - 1, along the dimension before the last."""
    agrees(attention.apply_rope(x), x, torch.arange(x.shape[-2]))


@part(NAME, points=1)
@settings(max_examples=25)
@given(vectors(), st.data())
def test_keeps_the_length_of_every_pair(attention, x, data):
    """A rotation keeps the length of each pair of channels, and turns what is not at position 0."""
    positions = data.draw(whole_positions((x.shape[-2],)))
    y = attention.apply_rope(x, positions)
    checks.tensor(y, shape=x.shape, dtype=x.dtype)
    old, new = (z.double().unflatten(-1, (-1, 2)).norm(dim=-1) for z in (x, y))
    checks.close(new, old, rtol=1e-5, atol=1e-6)
    pair = torch.ones(1, 2, dtype=x.dtype)
    turned = attention.apply_rope(pair, torch.tensor([1]))
    checks.holds(not torch.equal(turned, pair), "a pair at position 1 is turned", turned)


@part(NAME, points=2)
@given(st.integers(1, 4), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.data())
def test_scores_depend_on_the_distance_alone(attention, half, m, n, shift, data):
    """The score of a rotated query and a rotated key depends on how far apart they are, not on where they stand."""
    q, k = (data.draw(draws.tensors((1, 2 * half), dtype=torch.float64)) for _ in range(2))

    def score(i: int, j: int) -> torch.Tensor:
        return (attention.apply_rope(q, torch.tensor([i])) * attention.apply_rope(k, torch.tensor([j]))).sum()

    scores = (
        score(m, n),
        score(m + shift, n + shift),
        (rotate(q, torch.tensor([m])) * rotate(k, torch.tensor([n]))).sum(),
    )
    atol = 1e-3 * float(1 + q.norm() * k.norm())
    checks.close(scores[1], scores[0], rtol=0.0, atol=atol)
    checks.close(scores[0], scores[2], rtol=0.0, atol=atol)


@part(NAME, points=1)
@given(vectors(min_t=2), st.data())
def test_positions_of_a_batch_differ(attention, x, data):
    """Positions of shape (B, 1, T), one row a sequence, and those that skip or repeat, are used as they are."""
    x = x.expand(3, 2, *x.shape[-2:]) if x.dim() == 2 else x
    shape = (x.shape[0], *(1 for _ in x.shape[1:-2]), x.shape[-2])
    positions = data.draw(whole_positions(shape))
    agrees(attention.apply_rope(x, positions=positions), x, positions)


@part(NAME, points=1)
@settings(max_examples=25)
@given(vectors(), st.sampled_from([1.0, 100.0, 500000.0]), st.data())
def test_theta_sets_the_slowest_turn(attention, x, theta, data):
    """`theta` is the base of the frequencies; position 0 turns nothing, whatever it is."""
    positions = data.draw(whole_positions((x.shape[-2],)))
    positions[0] = 0
    y = attention.apply_rope(x, positions, theta)
    agrees(y, x, positions, theta)
    checks.equal(y[..., 0, :], x[..., 0, :].contiguous())


@part(NAME, points=1)
@given(vectors(dtype=HALF), st.data())
def test_half_precision_keeps_its_positions_apart(attention, x, data):
    """bfloat16 and float16 come back in their dtype, and position 1001 is not rounded to 1000."""
    positions = data.draw(whole_positions((x.shape[-2],)))
    agrees(attention.apply_rope(x, positions), x, positions)


@part(NAME, points=1, kind="self-reported")
@settings(max_examples=20)
@given(vectors(), st.data())
def test_rope_leaves_its_inputs_alone(attention, x, data):
    """Neither the input nor the positions are edited in place while they are rotated."""
    positions = data.draw(whole_positions((x.shape[-2],)))
    rotated, after, _ = attention.echo(attention.apply_rope, x, positions)
    agrees(rotated, x, positions)
    checks.equal(after, [x, positions])
