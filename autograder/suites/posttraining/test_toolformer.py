"""toolformer_weights, toolformer_loss and toolformer_keep: which calls help with what comes next."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, draws, part

NAME = "toolformer"


@part(NAME, points=1)
@given(st.integers(0, 12))
def test_weights_fall_to_zero_in_five_steps(posttraining, n):
    """The weights are 1, 0.8, 0.6, 0.4, 0.2 and then 0, all divided by 3, however few are asked for."""
    expected = torch.tensor([max(0, 5 - t) / 15 for t in range(n)], dtype=torch.float64)
    checks.close(posttraining.toolformer_weights(n, dtype=torch.float64), expected, rtol=1e-9, atol=1e-12)
    checks.close(posttraining.toolformer_weights(n), expected.float(), rtol=1e-5, atol=1e-6)


@part(NAME, points=1)
@given(st.data(), st.integers(1, 12), draws.float_dtypes())
def test_the_loss_is_of_the_tokens_that_follow(posttraining, data, t, dtype):
    """The loss is the weighted sum of the losses from `position` on: nearer tokens weigh more, earlier ones nothing."""
    shape = data.draw(st.sampled_from([(t,), (2, t), (2, 1, t)]))
    losses = data.draw(draws.tensors(shape, dtype=dtype))
    position = data.draw(st.integers(0, t))

    def weighted(x):
        total = x.new_zeros(x.shape[:-1])
        for i in range(position, min(position + 5, t)):
            total = total + x[..., i] * (5 - (i - position)) / 15
        return total

    checks.agrees(posttraining.toolformer_loss(losses, position), weighted, losses)


@st.composite
def losses(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three tensors of quarters: differences are exact, and often on the threshold."""
    shape = draw(draws.shapes(max_dims=2, max_side=6))
    count = torch.Size(shape).numel()
    drawn = [draw(st.lists(st.integers(-4, 12), min_size=count, max_size=count)) for _ in range(3)]
    one, two, three = (torch.tensor(quarters, dtype=torch.float64).reshape(shape) / 4 for quarters in drawn)
    return one, two, three


def kept(with_: torch.Tensor, empty: torch.Tensor, without: torch.Tensor, tau: float) -> torch.Tensor:
    flat = zip(with_.flatten().tolist(), empty.flatten().tolist(), without.flatten().tolist(), strict=True)
    return torch.tensor([a + tau <= b and a + tau <= c for a, b, c in flat]).reshape(with_.shape)


@part(NAME, points=2)
@given(losses(), st.integers(-2, 6))
def test_a_call_must_beat_both_no_call_and_no_result(posttraining, case, tau):
    """A call is kept if the loss with it is at least `tau` lower than both the loss without it and the loss with the
    call but no result.
    """
    checks.equal(posttraining.toolformer_keep(*case, tau=tau / 4), kept(*case, tau / 4))


@part(NAME, points=1)
@given(losses(), st.integers(-2, 6))
def test_exactly_the_threshold_is_enough(posttraining, case, tau):
    """A gain of exactly `tau` keeps the call; by default tau is 1."""
    with_ = case[0]
    gain = torch.full_like(with_, tau / 4)
    checks.equal(posttraining.toolformer_keep(with_, with_ + gain, with_ + gain, tau / 4), torch.ones_like(with_) > 0)
    checks.equal(posttraining.toolformer_keep(*case), kept(*case, 1.0))
