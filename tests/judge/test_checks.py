"""Comparing: nothing wrong passes, and no honest computation fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from autograder.judge import Mismatch, checks

torch.set_num_threads(1)
FLOATS = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])
KINDS = ("normal", "positive", "huge", "integers", "offset", "cancelling")
inf, nan = math.inf, math.nan


def numbers(kind: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Entries that are hard to sum, each kind in its way."""
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=source, dtype=torch.float64)
    if kind == "cancelling":
        flat = x.reshape(-1) * 1e4
        half = flat.numel() // 2
        flat[half : 2 * half] = -flat[:half]
        return flat[torch.randperm(flat.numel(), generator=source)].reshape(shape)
    return {
        "normal": x,
        "positive": x.abs(),
        "huge": x * 1e4,
        "integers": (x * 3).round(),
        "offset": x + 1000,
    }[kind]


def one_by_one(x: torch.Tensor) -> torch.Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for entry in x:
        total = total + entry
    return total


def in_pairs(x: torch.Tensor) -> torch.Tensor:
    while len(x) > 1:
        x = torch.cat([x, x.new_zeros(len(x) % 2)])
        x = x[::2] + x[1::2]
    return x[0]


SUMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "reversed": lambda x: x.flip(0).sum(),
    "sorted": lambda x: x.sort().values.sum(),
    "in pairs": in_pairs,
    "cumulative": lambda x: x.cumsum(0)[-1],
    "as a product": lambda x: x @ torch.ones_like(x),
    "by einsum": lambda x: torch.einsum("i,i->", x, torch.ones_like(x)),
    "as a mean": lambda x: x.mean() * len(x),
}


def refuses(check: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    with pytest.raises(Mismatch):
        check(*args, **kwargs)


# --- honest computations never fail


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(SUMS)),
    st.sampled_from(KINDS),
    st.one_of(st.integers(1, 20), st.sampled_from([64, 300, 1000, 4096])),
    FLOATS,
    st.integers(0, 10**6),
)
def test_a_sum_may_be_taken_in_any_order(order: str, kind: str, size: int, dtype: torch.dtype, seed: int) -> None:
    x = numbers(kind, (size,), seed).to(dtype)
    checks.agrees(SUMS[order](x), lambda x: x.sum(), x)


@settings(max_examples=150)
@given(st.sampled_from(KINDS), st.integers(1, 300), st.integers(1, 9), st.booleans(), FLOATS, st.integers(0, 10**6))
def test_a_sum_may_be_taken_one_by_one_or_in_chunks(
    kind: str, size: int, chunk: int, backwards: bool, dtype: torch.dtype, seed: int
) -> None:
    assume(dtype is not torch.bfloat16 or size <= 24)  # a long running sum in eight bits is no honest computation
    x = numbers(kind, (size,), seed).to(dtype)
    parts = torch.stack([part.sum() for part in x.split(chunk)])
    checks.agrees(one_by_one(parts.flip(0) if backwards else parts), lambda x: x.sum(), x)


def softmax_shifted(x: torch.Tensor) -> torch.Tensor:
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def softmax_by_logarithms(x: torch.Tensor) -> torch.Tensor:
    return (x - x.logsumexp(-1, keepdim=True)).exp()


def softmax_plain(x: torch.Tensor) -> torch.Tensor:
    return x.exp() / x.exp().sum(-1, keepdim=True)


@settings(max_examples=200)
@given(
    st.sampled_from([softmax_shifted, softmax_by_logarithms, softmax_plain]),
    st.sampled_from(["normal", "positive", "integers", "huge"]),
    st.tuples(st.integers(1, 4), st.integers(1, 40)),
    FLOATS,
    st.integers(0, 10**6),
)
def test_a_softmax_may_be_computed_in_any_stable_way(
    way: Callable[[torch.Tensor], torch.Tensor], kind: str, shape: tuple[int, int], dtype: torch.dtype, seed: int
) -> None:
    # Neither is stable at huge scores: one overflows, and the other rounds a logarithm of 1000 to 6e-5.
    assume(kind != "huge" or way is softmax_shifted)
    x = numbers(kind, shape, seed).to(dtype)
    checks.agrees(way(x), lambda x: torch.softmax(x, -1), x)


@settings(max_examples=200)
@given(
    st.sampled_from(KINDS),
    st.tuples(st.integers(1, 5), st.integers(1, 64), st.integers(1, 5)),
    FLOATS,
    st.integers(0, 10**6),
)
def test_a_product_may_be_a_matmul_or_an_einsum_or_a_sum(
    kind: str, sizes: tuple[int, int, int], dtype: torch.dtype, seed: int
) -> None:
    n, k, m = sizes
    a, b = numbers(kind, (n, k), seed).to(dtype), numbers(kind, (k, m), seed + 1).to(dtype)
    for product in (
        torch.einsum("nk,km->nm", a, b),
        torch.einsum("mk,kn->nm", b.mT.contiguous(), a.mT),
        (a[:, :, None] * b).sum(1),
        (b.mT @ a.mT).mT,
        torch.stack([row @ b for row in a]),
    ):
        checks.agrees(product, torch.matmul, a, b)


@settings(max_examples=150)
@given(st.sampled_from(KINDS), st.integers(2, 200), FLOATS, st.integers(0, 10**6))
def test_a_variance_may_be_computed_from_the_mean(kind: str, size: int, dtype: torch.dtype, seed: int) -> None:
    x = numbers(kind, (3, size), seed).to(dtype)
    centred = x - x.mean(-1, keepdim=True)
    checks.agrees(centred.square().mean(-1), lambda x: x.var(-1, correction=0), x)


@settings(max_examples=100)
@given(st.integers(1, 60), FLOATS, st.integers(0, 10**6))
def test_a_log_likelihood_may_be_a_gather_or_a_cross_entropy(size: int, dtype: torch.dtype, seed: int) -> None:
    logits = numbers("normal", (4, size), seed).to(dtype)
    labels = torch.arange(4) % size
    mine = -torch.log_softmax(logits, -1).gather(-1, labels[:, None]).mean()
    checks.agrees(mine, torch.nn.functional.cross_entropy, logits, labels)


@given(st.integers(1, 30), st.integers(0, 10**6))
def test_a_number_may_be_computed_in_any_order(size: int, seed: int) -> None:
    x = numbers("normal", (size,), seed).float()
    checks.agrees(float(sum(x.tolist())), lambda x: x.sum().item(), x)


@given(st.sampled_from(KINDS), FLOATS, st.integers(0, 10**6))
def test_the_oracle_itself_always_agrees(kind: str, dtype: torch.dtype, seed: int) -> None:
    x = numbers(kind, (3, 4), seed).to(dtype)

    def oracle(x: torch.Tensor) -> dict[str, Any]:
        return {"a": [x.exp(), (x > 0, None)], "b": x.argmax(-1), "c": "text"}

    checks.agrees(oracle(x), oracle, x)


def test_an_overflow_where_honest_arithmetic_overflows_is_no_mistake() -> None:
    x = torch.tensor([100.0, 1.0], dtype=torch.float32)
    checks.agrees(x.exp(), torch.exp, x)
    checks.agrees(torch.tensor([inf, math.e]), torch.exp, x)
    refuses(checks.agrees, torch.tensor([0.0, math.e]), torch.exp, x)
    refuses(checks.agrees, torch.tensor([inf, inf]), torch.exp, x)


def test_infinities_and_nan_are_allowed_exactly_where_the_definition_has_them() -> None:
    x = torch.tensor([0.0, -1.0, 1.0])
    right = x.log()
    checks.agrees(right, torch.log, x)
    for place, entry in ((0, nan), (0, inf), (0, -1e30), (1, -inf), (1, 0.0), (2, nan), (2, -inf)):
        wrong = right.clone()
        wrong[place] = entry
        refuses(checks.agrees, wrong, torch.log, x)


# --- nothing wrong passes

WRONG_BY = st.sampled_from(["one entry", "every entry", "a factor"])


@settings(max_examples=200)
@given(st.tuples(st.integers(1, 4), st.integers(1, 30)), FLOATS, WRONG_BY, st.data())
def test_a_near_miss_fails(shape: tuple[int, int], dtype: torch.dtype, by: str, data: st.DataObject) -> None:
    x = numbers("normal", shape, data.draw(st.integers(0, 10**6))).to(dtype)
    right = torch.softmax(x.double(), -1)
    far = 200 * torch.finfo(dtype).eps
    assume(right.max() * far < 0.5 or dtype is not torch.bfloat16)
    wrong = right.clone()
    if by == "one entry":
        wrong.reshape(-1)[data.draw(st.integers(0, wrong.numel() - 1))] += far * right.max()
    elif by == "every entry":
        wrong += far * right.max()
    else:
        wrong *= 1 + far
    refuses(checks.agrees, wrong.to(dtype), lambda x: torch.softmax(x, -1), x)


@pytest.mark.parametrize("entry", [nan, inf, -inf])
@given(st.integers(0, 5), FLOATS)
def test_an_entry_that_is_not_finite_fails(entry: float, place: int, dtype: torch.dtype) -> None:
    x = torch.ones(2, 3, dtype=dtype)
    wrong = x.clone()
    wrong.view(-1)[place] = entry
    refuses(checks.agrees, wrong, lambda x: x * 1, x)
    refuses(checks.close, wrong, x, rtol=1e300)
    refuses(checks.equal, wrong, x)
    refuses(checks.tensor, wrong)


SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@settings(max_examples=200)
@given(SHAPES, SHAPES)
@example((4, 4), (1,))
@example((4, 4), ())
@example((4, 4), (4, 1))
@example((0,), (4, 0))
@example((3,), (0,))
def test_another_shape_fails_even_where_it_could_be_broadcast(want: tuple[int, ...], got: tuple[int, ...]) -> None:
    assume(want != got)
    x = torch.zeros(want)
    for check in (checks.close, checks.equal):
        refuses(check, torch.zeros(got), x)
    refuses(checks.agrees, torch.zeros(got), lambda x: x * 1, x)
    refuses(checks.tensor, torch.zeros(got), shape=want)


@pytest.mark.parametrize("got", [torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_another_dtype_fails(got: torch.dtype) -> None:
    x = torch.ones(2)
    refuses(checks.agrees, x.to(got), lambda x: x * 1, x)
    refuses(checks.close, x.to(got), x)
    refuses(checks.equal, x.to(got), x)
    refuses(checks.tensor, x.to(got), dtype=torch.float32)


def test_the_dtype_can_be_named() -> None:
    x = torch.ones(2, dtype=torch.bfloat16)
    checks.agrees(x.float() * 2, lambda x: x * 2, x, dtype=torch.float32)
    refuses(checks.agrees, x * 2, lambda x: x * 2, x, dtype=torch.float32)


LIES = [
    None, True, 1, 1.0, "tensor([1., 1.])", b"", [1.0, 1.0], (1.0, 1.0), {"a": 1}, [torch.ones(2)], (torch.ones(2),),
    numpy.ones(2, numpy.float32), torch.ones(2, 1), torch.ones(1), torch.empty(0), torch.tensor(1.0), frozenset({1.0}),
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=repr)
def test_a_value_of_another_type_fails(lie: Any) -> None:
    x = torch.ones(2)
    refuses(checks.agrees, lie, lambda x: x * 1, x)
    refuses(checks.close, lie, x)
    refuses(checks.equal, lie, x)
    refuses(checks.tensor, lie, shape=(2,))


@pytest.mark.parametrize("lie", LIES, ids=repr)
def test_a_value_of_another_structure_fails(lie: Any) -> None:
    for right in ([torch.ones(2), 1], (torch.ones(2), 1.5), {"a": torch.ones(2)}, 7, 2.5, "text"):
        refuses(checks.agrees, lie, lambda x, right=right: right, torch.ones(1))
        refuses(checks.close, lie, right)
        refuses(checks.equal, lie, right)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (True, 1),
        (1, True),
        (1.0, 1),
        (1, 1.0),
        ("1", 1),
        (b"a", "a"),
        (None, 0),
        (nan, 0.0),
        (0.0, nan),
        ([1, 2], (1, 2)),
        ([1, 2], [2, 1]),
        ([1], [1, 2]),
        ([], [1]),
        ([True], [1]),
        ([[1.0]], [[1]]),
        ({1: "a"}, {1: "b"}),
        ({1.0: "a"}, {1: "a"}),
        ({(True, "x"): 1}, {(1, "x"): 1}),
        ({"a": 1, "b": 2}, {"a": 1}),
        (frozenset({1.0}), {1}),
        ([frozenset({2})], [{1}]),
        (torch.tensor([inf]), torch.tensor([torch.finfo(torch.float32).max])),
        (torch.tensor([torch.finfo(torch.float32).min]), torch.tensor([-inf])),
        (torch.tensor([inf]), torch.tensor([nan])),
        (torch.tensor([True]), torch.tensor([1])),
        (numpy.array([1]), numpy.array([1.0])),
        (numpy.array([1, 2], numpy.int64), numpy.array([1, 3], numpy.int64)),
        (numpy.array([[1]]), numpy.array([1])),
        (torch.tensor([1]), numpy.array([1])),
        ("aab", "aba"),
    ],
    ids=repr,
)
def test_what_is_almost_equal_is_not_equal(wrong: Any, right: Any) -> None:
    refuses(checks.equal, wrong, right)
    refuses(checks.equal, [wrong, "more"], [right, "more"])
    refuses(checks.close, {"key": wrong}, {"key": right})


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.tuples(inner, inner),
            st.dictionaries(st.integers(), inner, max_size=2),
            st.frozensets(st.integers(), max_size=2),
        ),
    )
)
def test_every_value_is_equal_to_itself(value: Any) -> None:
    checks.equal(value, value)
    checks.close(value, value)


def test_a_set_arrives_frozen_and_is_equal_all_the_same() -> None:
    checks.equal(frozenset({1, (2, "a")}), {1, (2, "a")})
    checks.equal([frozenset()], [set()])


@given(st.floats(1e-6, 1e6), st.floats(0, 1e-3))
def test_close_means_within_the_stated_tolerance(value: float, rtol: float) -> None:
    x = torch.tensor([value, -value], dtype=torch.float64)
    checks.close(x * (1 + 0.99 * rtol), x, rtol=rtol + 1e-15)
    refuses(checks.close, x * (1 + 1.01 * rtol + 1e-14), x, rtol=rtol)
    refuses(checks.close, value * (1 + 1.01 * rtol + 1e-14), value, rtol=rtol)


def test_a_relation_is_a_plain_truth() -> None:
    checks.holds(True, "it is so")
    checks.holds(torch.tensor(True), "it is so")
    refuses(checks.holds, numpy.bool_(False), "it is so")
    for condition in (torch.tensor(nan), torch.tensor([True, True]), 1, "yes", None, nan, [True]):
        with pytest.raises(TypeError):
            checks.holds(condition, "it is so")


# --- statistics


def tail(trials: int, p: float, keep: Callable[[int], bool]) -> float:
    """P(keep(X)) for a binomial X, by the definition."""
    return math.fsum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1) if keep(k))


def caught(successes: int, trials: int, p: float) -> bool:
    try:
        checks.proportion(successes, trials, p)
    except Mismatch:
        return True
    return False


@settings(max_examples=60)
@given(st.integers(1, 400), st.floats(0.001, 0.999))
def test_a_proportion_raises_a_false_alarm_no_more_often_than_it_says(trials: int, p: float) -> None:
    assert tail(trials, p, lambda k: caught(k, trials, p)) <= checks.FALSE_ALARM


@settings(max_examples=60)
@given(st.integers(30, 400), st.floats(0.02, 0.9))
def test_the_smallest_bias_is_caught_as_surely_as_it_says(trials: int, p: float) -> None:
    bias = checks.smallest_bias(trials, p)
    assume(bias < inf)
    assert tail(trials, p + bias, lambda k: not caught(k, trials, p)) <= 1e-9


def test_a_few_trials_catch_no_bias_and_say_so() -> None:
    assert checks.smallest_bias(5, 0.5) == inf
    assert checks.smallest_bias(2000, 0.5) < 0.16


@settings(max_examples=40)
@given(st.integers(1, 60), st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_frequencies_raise_a_false_alarm_no_more_often_than_they_say(trials: int, weights: list[int]) -> None:
    p, q, r = (weight / sum(weights) for weight in weights)
    false = 0.0
    for a in range(trials + 1):
        for b in range(trials + 1 - a):
            try:
                checks.frequencies([a, b, trials - a - b], [p, q, r])
            except Mismatch:
                ways = math.comb(trials, a) * math.comb(trials - a, b)
                false += ways * p**a * q**b * r ** (trials - a - b)
    assert false <= checks.FALSE_ALARM


def test_an_outcome_of_probability_zero_may_never_come() -> None:
    checks.frequencies([100, 0], [1.0, 0.0])
    checks.proportion(0, 100, 0.0)
    checks.proportion(100, 100, 1.0)
    refuses(checks.frequencies, [99, 1], [1.0, 0.0])
    refuses(checks.proportion, 1, 10**6, 0.0)
    refuses(checks.proportion, 99, 100, 1.0)


@pytest.mark.parametrize("counts", [[], [0, 0], [10], [5, 5, 5], [-5, 105], [nan, 5], [inf, 5]])
def test_counts_that_cannot_be_fail(counts: list[float]) -> None:
    refuses(checks.frequencies, counts, [0.5, 0.5])


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 10), (11, 10), (nan, 10)])
def test_a_proportion_that_cannot_be_fails(successes: float, trials: int) -> None:
    refuses(checks.proportion, successes, trials, 0.5)


def test_a_bias_of_a_few_percent_is_seen_in_many_draws() -> None:
    checks.proportion(5000, 10_000, 0.5)
    refuses(checks.proportion, 5500, 10_000, 0.5)
    checks.frequencies([3333, 3333, 3334], [1 / 3] * 3)
    refuses(checks.frequencies, [3900, 3000, 3100], [1 / 3] * 3)
