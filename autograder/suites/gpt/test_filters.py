"""apply_temperature, top_k_filter, top_p_filter: which tokens may still come, and with which logits."""

from __future__ import annotations

import math

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, part, raises
from autograder.suites.gpt.strategies import distinct_logits


def keep(logits: Tensor, kept: list[list[int]]) -> Tensor:
    """The logits, -inf where they are not kept."""
    expected = torch.full_like(logits, -math.inf)
    for row, ids in enumerate(kept):
        expected[row, ids] = logits[row, ids]
    return expected


def ranking(row: Tensor) -> list[int]:
    """Ids from the largest logit to the smallest."""
    return sorted(range(len(row)), key=lambda i: -float(row[i]))


@part("filters", points=1)
@settings(max_examples=25)
@given(distinct_logits(), st.sampled_from([0.1, 0.5, 1.0, 1.5, 3.0]))
def test_temperature_divides_the_logits(gpt, logits, temperature):
    """apply_temperature divides logits by the temperature; a negative temperature raises ValueError."""
    checks.agrees(gpt.apply_temperature(logits, temperature), lambda x: x / temperature, logits)
    with raises("ValueError"):
        gpt.apply_temperature(logits, -temperature)


@part("filters", points=1)
@settings(max_examples=25)
@given(distinct_logits())
def test_temperature_zero_is_greedy(gpt, logits):
    """At temperature 0 the largest logit of each row becomes 0 and all others -inf."""
    best = [ranking(row)[:1] for row in logits]
    checks.equal(gpt.apply_temperature(logits, 0.0), keep(torch.zeros_like(logits), best))


@part("filters", points=2)
@settings(max_examples=25)
@given(distinct_logits(min_v=2), st.data())
def test_top_k_keeps_the_largest_of_each_row(gpt, logits, data):
    """In each row the k largest logits stay as they are and the others become -inf."""
    k = data.draw(st.integers(1, logits.shape[1]))
    checks.equal(gpt.top_k_filter(logits, k), keep(logits, [ranking(row)[:k] for row in logits]))


@part("filters", points=1)
@settings(max_examples=25)
@given(distinct_logits(), st.integers(0, 3), st.data())
def test_top_k_at_its_limits(gpt, logits, more, data):
    """k of V or more keeps all; of equal logits any may stay, but at least k in total; k below 1 raises ValueError."""
    v = logits.shape[1]
    checks.equal(gpt.top_k_filter(logits, k=v + more), logits)
    with raises("ValueError"):
        gpt.top_k_filter(logits, 0)
    k = data.draw(st.integers(1, v))
    equal = gpt.top_k_filter(torch.zeros_like(logits), k)
    checks.tensor(equal.exp(), shape=logits.shape, dtype=logits.dtype)
    kept = equal > -math.inf
    checks.equal(equal[kept], torch.zeros_like(equal[kept]))
    checks.holds(bool((kept.sum(1) >= k).all()), f"at least {k} of equal logits stay", equal)


def nucleus(row: Tensor, p: float, least: int = 1) -> list[int]:
    """The smallest set of most probable ids with mass p or more. None of its borders is closer to p than 1e-6."""
    probabilities = row.double().softmax(-1)
    ids, mass = [], 0.0
    for i in ranking(row):
        if mass >= p and len(ids) >= least:
            break
        ids.append(i)
        mass += float(probabilities[i])
    masses = probabilities.sort(descending=True).values.cumsum(-1)[:-1]
    assume(not bool(((masses - p).abs() < 1e-5).any()))
    return ids


@part("filters", points=2)
@settings(max_examples=25)
@given(distinct_logits(min_v=2), st.floats(0.01, 0.99))
def test_top_p_keeps_the_smallest_set_with_enough_mass(gpt, logits, p):
    """In each row the smallest set of most probable tokens with mass p or more stays; the token that crosses p is in
    it."""
    checks.equal(gpt.top_p_filter(logits, p), keep(logits, [nucleus(row, p) for row in logits]))


@part("filters", points=1)
@settings(max_examples=25)
@given(distinct_logits(), st.integers(1, 5), st.sampled_from([0.0, 0.3]), st.sampled_from([1.0, 1.5]))
def test_top_p_at_its_limits(gpt, logits, least, p, all_of_it):
    """p of 1 or more changes nothing, and at least min_tokens_to_keep tokens stay, also at p = 0."""
    checks.equal(gpt.top_p_filter(logits, all_of_it), logits)
    kept = [nucleus(row, p, least) if p else ranking(row)[:least] for row in logits]
    checks.equal(gpt.top_p_filter(logits, p, min_tokens_to_keep=least), keep(logits, kept))
    assume(not p)
    checks.equal(gpt.top_p_filter(logits, 0.0), keep(logits, [ranking(row)[:1] for row in logits]))


@part("filters", points=1)
@settings(max_examples=25)
@given(distinct_logits(min_v=3), st.data())
def test_filters_leave_their_input_alone(gpt, logits, data):
    """No filter changes the logits that it is given, and renaming the tokens renames what is kept."""
    order = torch.tensor(data.draw(st.permutations(range(logits.shape[1]))))
    for name, value in (
        ("apply_temperature", 0.7),
        ("apply_temperature", 0.0),
        ("top_k_filter", 2),
        ("top_p_filter", 0.45),
    ):
        kept = {
            "top_k_filter": [ranking(row)[:2] for row in logits],
            "top_p_filter": [nucleus(row, 0.45) for row in logits],
            "apply_temperature": [ranking(row)[: None if value else 1] for row in logits],
        }[name]
        values = logits / value if value == 0.7 else torch.zeros_like(logits) if value == 0.0 else logits
        expected = keep(values, kept)
        function = getattr(gpt, name)
        result, after, _ = gpt.echo(function, logits, value)
        checks.equal(after[0], logits)
        checks.close(result, expected, rtol=1e-6)
        checks.close(function(logits[:, order], value), expected[:, order], rtol=1e-6)
