"""cosine_schedule and clip_grad_norm."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import Given, checks, draws, part
from autograder.suites.gpt.strategies import normal


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of a schedule in which every stage may be empty."""
    low = draw(st.sampled_from([0.0, 0.1, 0.25]))
    warmup = draw(st.integers(0, 8))
    return {
        "max_lr": low + draw(st.sampled_from([0.5, 1.0])),
        "min_lr": low,
        "warmup_steps": warmup,
        "total_steps": warmup + draw(st.integers(0, 10)),
    }


@part("schedule_and_clipping", points=1)
@settings(max_examples=20)
@given(schedules())
def test_warm_up_then_half_a_cosine(gpt, schedule):
    """The rate rises from 0 along a line until warm-up ends, then falls from max_lr to min_lr along half a cosine."""
    high, low, warmup, total = (schedule[name] for name in ("max_lr", "min_lr", "warmup_steps", "total_steps"))
    for step in range(total + 1):
        if step < warmup:
            expected = high * step / warmup
        elif step == total:
            expected = low
        else:
            angle = math.pi * (step - warmup) / (total - warmup)
            expected = low + (high - low) * math.cos(angle / 2) ** 2
        checks.close(gpt.cosine_schedule(step, **schedule), expected, rtol=1e-9, atol=1e-12)


@part("schedule_and_clipping", points=1)
@settings(max_examples=20)
@given(schedules(), st.integers(1, 50))
def test_the_rate_stays_at_its_minimum(gpt, schedule, later):
    """After total_steps the rate is min_lr for ever."""
    if schedule["warmup_steps"] < schedule["total_steps"]:
        top = gpt.cosine_schedule(schedule["warmup_steps"], **schedule)
        checks.close(top, schedule["max_lr"], rtol=1e-9)  # so that a constant is no schedule
    rate = gpt.cosine_schedule(schedule["total_steps"] + later, **schedule)
    checks.close(rate, schedule["min_lr"], rtol=1e-9, atol=1e-12)


@st.composite
def gradients(draw: st.DrawFn, none: bool = False) -> list[Tensor | None]:
    """Gradients of some parameters, of different sizes; at least one is not None."""
    shapes = draw(st.lists(draws.shapes(0, 2, max_side=3), min_size=1, max_size=4))
    seed, scale = draw(draws.seeds()), draw(st.sampled_from([0.01, 1.0, 100.0]))
    found: list[Tensor | None] = [normal(shape, seed + i) * scale for i, shape in enumerate(shapes)]
    if none:
        kept = draw(st.integers(0, len(found) - 1))
        found = [None if i != kept and draw(st.booleans()) else g for i, g in enumerate(found)]
    return found


def clipped(gpt: Any, grads: list[Tensor | None], max_norm: float) -> tuple[Tensor, list[Tensor | None]]:
    """What clip_grad_norm returns for an iterator over parameters with these gradients, and the gradients
    afterwards."""
    held = gpt.make(
        Given("parameters.Parameters"), [torch.zeros_like(g) if g is not None else torch.zeros(2) for g in grads]
    )
    held.set_gradients(grads)
    norm = gpt.clip_grad_norm(held.parameters(), max_norm)
    return norm, held.gradients()


def joint_norm(grads: list[Tensor | None]) -> Tensor:
    return torch.stack([(g**2).sum() for g in grads if g is not None]).sum().sqrt()


@part("schedule_and_clipping", points=2)
@settings(max_examples=20)
@given(gradients(), st.floats(0.01, 0.99))
def test_clipping_uses_the_joint_norm(gpt, grads, fraction):
    """Gradients whose joint L2 norm is too large are all scaled by the same factor to max_norm; the norm before is
    returned."""
    before = joint_norm(grads)
    max_norm = float(before) * fraction
    norm, after = clipped(gpt, grads, max_norm)
    checks.close(norm, before, rtol=1e-9)
    factor = max_norm / (before + 1e-6)
    checks.close(after, [g * factor for g in grads], rtol=1e-9, atol=1e-12)


@part("schedule_and_clipping", points=1)
@settings(max_examples=20)
@given(gradients(), st.floats(1.01, 100.0))
def test_small_gradients_are_left_alone(gpt, grads, factor):
    """Gradients below max_norm do not change: clipping never makes a gradient larger, zeros included."""
    before = joint_norm(grads)
    norm, after = clipped(gpt, grads, float(before) * factor + 2e-6)
    checks.close(norm, before, rtol=1e-9)
    checks.equal(after, grads)
    zeros = [g * 0 for g in grads]
    norm, after = clipped(gpt, zeros, factor)
    checks.close(norm, before * 0)
    checks.close(after, zeros)


@part("schedule_and_clipping", points=1)
@settings(max_examples=20)
@given(gradients(none=True), st.floats(0.01, 0.99))
def test_parameters_without_gradient_do_not_count(gpt, grads, fraction):
    """Parameters whose gradient is None are passed over, wherever they stand; without any gradient the norm is 0."""
    before = joint_norm(grads)
    max_norm = float(before) * fraction
    norm, after = clipped(gpt, grads, max_norm)
    checks.close(norm, before, rtol=1e-9)
    factor = max_norm / (before + 1e-6)
    checks.close(after, [None if g is None else g * factor for g in grads], rtol=1e-9, atol=1e-12)
    norm, _ = clipped(gpt, [None] * len(grads), max_norm)
    checks.holds(float(norm) == 0.0, "the norm of no gradient is 0", norm)
