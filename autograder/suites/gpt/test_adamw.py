"""AdamW: its steps, its groups, its state."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from autograder.judge import Given, checks, draws, part
from autograder.suites.gpt.strategies import normal

Step = list[Tensor | None]


def hold(gpt: Any, values: list[Tensor]) -> Any:
    """Parameters with these values, in the worker."""
    return gpt.make(Given("parameters.Parameters"), values)


def run(held: Any, optimizer: Any, steps: list[Step]) -> list[Tensor]:
    """The parameters after steps with these gradients."""
    for gradients in steps:
        held.set_gradients(gradients)
        optimizer.step()
    return held.values()


def torch_run(groups: list[tuple[list[Tensor], dict[str, Any]]], steps: list[Step], rates: Any = None) -> list[Tensor]:
    """The same by torch.optim.AdamW; `rates` holds the learning rates of the groups at each step."""
    parameters = [[nn.Parameter(value.clone()) for value in values] for values, _ in groups]
    given_groups = [{"params": params, **options} for params, (_, options) in zip(parameters, groups, strict=True)]
    optimizer = torch.optim.AdamW(given_groups, lr=1e-3, foreach=False)
    flat = [p for params in parameters for p in params]
    for number, gradients in enumerate(steps):
        if rates is not None:
            for group, rate in zip(optimizer.param_groups, rates[number], strict=True):
                group["lr"] = rate
        for p, gradient in zip(flat, gradients, strict=True):
            p.grad = None if gradient is None else gradient.clone()
        optimizer.step()
    return [p.detach() for p in flat]


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    """Options of a group. eps is large at times, so that its place matters."""
    return {
        "lr": draw(st.sampled_from([0.5, 0.1, 0.01])),
        "betas": (draw(st.sampled_from([0.0, 0.5, 0.9])), draw(st.sampled_from([0.6, 0.95, 0.999]))),
        "eps": draw(st.sampled_from([1e-8, 0.1, 1.0])),
        "weight_decay": draw(st.sampled_from([0.0, 0.1, 0.5])),
    }


@st.composite
def runs(
    draw: st.DrawFn, some_none: bool = False, min_steps: int = 1, n_values: int = 0
) -> tuple[list[Tensor], list[Step]]:
    """Values of some parameters and the gradients of some steps, float64."""
    shapes = draw(st.lists(draws.shapes(0, 2, max_side=3), min_size=n_values or 1, max_size=n_values or 3))
    seed = draw(draws.seeds())
    values = [normal(shape, seed + i) for i, shape in enumerate(shapes)]
    steps: list[Step] = []
    for n in range(draw(st.integers(min_steps, 5))):
        gradients: Step = [normal(shape, seed + 100 * (n + 1) + i) for i, shape in enumerate(shapes)]
        if some_none:
            gradients = [None if draw(st.booleans()) else g for g in gradients]
        steps.append(gradients)
    return values, steps


@part("AdamW", points=3)
@settings(max_examples=20)
@given(runs(), options())
def test_matches_torch_over_several_steps(gpt, case, chosen):
    """Parameters after one to five steps are those of the definition (torch.optim.AdamW's)."""
    values, steps = case
    held = hold(gpt, values)
    returned = run(held, gpt.AdamW(held.parameters(), **chosen), steps)
    checks.close(returned, torch_run([(values, chosen)], steps), rtol=1e-9, atol=1e-11)


@part("AdamW", points=1)
@settings(max_examples=20)
@given(runs(min_steps=2), st.sampled_from([0.5, 0.01]), st.floats(1e-3, 1e3))
def test_the_first_step_moves_by_the_learning_rate(gpt, case, lr, scale):
    """The first step moves each entry by the learning rate against its gradient's sign, whatever its size; so does
    the second with the same gradient."""
    values, steps = case
    held = hold(gpt, values)
    optimizer = gpt.AdamW(held.parameters(), lr=lr, weight_decay=0.0)
    gradients = [g.sign() * scale for g in steps[0] if g is not None]
    for count in (1, 2):
        held.set_gradients(gradients)
        optimizer.step()
        expected = [v - count * lr * g.sign() for v, g in zip(values, gradients, strict=True)]
        checks.close(held.values(), expected, rtol=1e-4, atol=1e-5 * lr)


@part("AdamW", points=1)
@settings(max_examples=20)
@given(runs(), st.sampled_from([0.5, 0.1]), st.sampled_from([0.5, 0.1]), st.integers(1, 4))
def test_decay_does_not_pass_through_the_moments(gpt, case, lr, decay, count):
    """With gradients of zero every step multiplies a parameter by 1 - lr * weight_decay, and nothing else."""
    values, _ = case
    held = hold(gpt, values)
    returned = run(held, gpt.AdamW(held.parameters(), lr=lr, weight_decay=decay), [[v * 0 for v in values]] * count)
    checks.close(returned, [v * (1 - lr * decay) ** count for v in values], rtol=1e-9, atol=1e-12)


@part("AdamW", points=1)
@settings(max_examples=20)
@given(runs(some_none=True), options())
def test_a_parameter_without_gradient_is_left_alone(gpt, case, chosen):
    """Where the gradient is None the parameter, its moments and its count of updates stay as they are."""
    values, steps = case
    held = hold(gpt, values)
    returned = run(held, gpt.AdamW(held.parameters(), **chosen), steps)
    checks.close(returned, torch_run([(values, chosen)], steps), rtol=1e-9, atol=1e-11)


@part("AdamW", points=1)
@settings(max_examples=20)
@given(runs(n_values=3), options(), options())
def test_groups_have_their_own_options(gpt, case, one, two):
    """Each group is updated with its own learning rate, betas, eps and weight decay."""
    values, steps = case
    first, second = hold(gpt, values[:1]), hold(gpt, values[1:])
    optimizer = gpt.AdamW([{"params": first.parameters(), **one}, {"params": second.parameters(), **two}])
    for gradients in steps:
        first.set_gradients(gradients[:1])
        second.set_gradients(gradients[1:])
        optimizer.step()
    expected = torch_run([(values[:1], one), (values[1:], two)], steps)
    checks.close(first.values() + second.values(), expected, rtol=1e-9, atol=1e-11)


@part("AdamW", points=1)
@settings(max_examples=20)
@given(runs(min_steps=2), options(), st.data())
def test_options_are_read_at_each_step(gpt, case, chosen, data):
    """A learning rate that is set between two steps holds from then on."""
    values, steps = case
    rates = data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.7]), min_size=len(steps), max_size=len(steps)))
    held = hold(gpt, values)
    optimizer = gpt.AdamW(held.parameters(), **chosen)
    for gradients, rate in zip(steps, rates, strict=True):
        gpt.make(Given("parameters.set_option"), optimizer, "lr", [rate])
        held.set_gradients(gradients)
        optimizer.step()
    expected = torch_run([(values, chosen)], steps, [[rate] for rate in rates])
    checks.close(held.values(), expected, rtol=1e-9, atol=1e-11)


@part("AdamW", points=1)
@settings(max_examples=20)
@given(runs(min_steps=2), options(), st.data())
def test_the_state_can_be_saved(gpt, case, chosen, data):
    """A new optimiser that loads the state of the old one goes on as the old one would."""
    values, steps = case
    cut = data.draw(st.integers(1, len(steps) - 1))
    held = hold(gpt, values)
    optimizer = gpt.AdamW(held.parameters(), **chosen)
    middle = run(held, optimizer, steps[:cut])
    fresh = hold(gpt, middle)
    second = gpt.AdamW(fresh.parameters())
    second.load_state_dict(optimizer.state_dict())
    checks.close(run(fresh, second, steps[cut:]), torch_run([(values, chosen)], steps), rtol=1e-9, atol=1e-11)
