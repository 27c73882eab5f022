"""Comparing what came back with what is right, so that nothing wrong passes and no honest computation fails.

`allclose` accepts a (1,) for a (4, 4), an empty tensor for anything, and a float64 for a float32;
`abs(a - b).max() > tol` is False for NaN. Here type, shape, dtype and finiteness are compared first, and a tolerance is
never a guess: it is derived from the error that an honest computation in the same dtype makes on the same input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch

HONEST_ERRORS = 16.0  # an honest program may stray this many times as far as our own computation in its dtype does
FALSE_ALARM = 1e-12  # of one statistical check, on correct code
_TINY = torch.finfo(torch.float64).tiny


class Mismatch(AssertionError):
    """The code under test is wrong here. `returned` and `expected` are values to show, where there are any."""

    def __init__(self, reason: str, returned: Any = None, expected: Any = None, *, shown: bool = False) -> None:
        self.reason, self.returned, self.expected, self.shown = reason, returned, expected, shown
        super().__init__(reason)


def agrees(
    returned: Any, oracle: Callable[..., Any], *args: Any, dtype: torch.dtype | None = None, **kwargs: Any
) -> None:
    """`returned` is what `oracle` computes from the same inputs, as closely as the inputs' dtype allows.

    The oracle runs four times: in float64 for the expected values, on the inputs as they are, and twice in float64 on
    inputs moved by about a unit in their last place. The latter three tell how far an honest program strays on this
    very input: how well conditioned it is. `dtype` names the expected dtype where it is not the one that the oracle
    returns.
    """
    exact = oracle(*_map(args, _upcast), **_map(kwargs, _upcast))
    honest = oracle(*args, **kwargs)
    moved = [oracle(*_map(args, nudge), **_map(kwargs, nudge)) for nudge in (_signs, _fractions)]
    _agrees(returned, exact, [honest, *moved], dtype, "")


def close(returned: Any, expected: Any, *, rtol: float = 1e-9, atol: float = 0.0) -> None:
    """`returned` has the type, shape and dtype of `expected`, and its values within `atol + rtol * |expected|`."""
    for got, want, where in _leaves(returned, expected, expected, ""):
        if _is_tensor(want) and want.is_floating_point():
            _tensor(got, want.shape, want.dtype, where)
            _values(got, want.double(), atol + rtol * want.double().abs(), where, returned, expected)
        elif isinstance(want, float):
            _number(got, want, atol + rtol * abs(want), where)
        else:
            _exactly(got, want, where)


def equal(returned: Any, expected: Any) -> None:
    """`returned` is exactly `expected`: type, shape, dtype and every value."""
    for got, want, where in _leaves(returned, expected, expected, ""):
        _exactly(got, want, where)


def tensor(returned: Any, *, shape: Sequence[int] | None = None, dtype: torch.dtype | None = None) -> None:
    """`returned` is a tensor of this shape and dtype, and its values are finite."""
    _tensor(returned, shape, dtype, "")
    if returned.is_floating_point() and not bool(returned.isfinite().all()):
        raise Mismatch("holds a value that is not finite", returned)


def holds(condition: Any, relation: str, returned: Any = None, expected: Any = None) -> None:
    """`relation`, a sentence about what came back, is true. NaN makes no relation true: pass a plain bool."""
    one = _is_tensor(condition) and condition.dtype == torch.bool and condition.numel() == 1
    if not isinstance(condition, bool | numpy.bool_) and not one:
        raise TypeError(f"a relation must be a bool, not a {type(condition).__name__}")
    if not bool(condition):
        raise Mismatch(f"does not hold: {relation}", returned, expected)


# --- statistics -------------------------------------------------------------------------------------------------------


def proportion(successes: int, trials: int, p: float, what: str = "the proportion") -> None:
    """`successes` of `trials` independent draws is what probability `p` gives, at a false alarm of 1e-12 or less.

    Uses the Chernoff bound P(X/n beyond q) <= exp(-n KL(q, p)), which holds exactly for every n. `smallest_bias` says
    what it catches.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise Mismatch(f"{what}: {successes} of {trials} draws is impossible")
    if trials * _divergence(successes / trials, p) > math.log(2 / FALSE_ALARM):
        raise Mismatch(
            f"{what} should be {p:.4g}", f"{successes} of {trials}, that is {successes / trials:.4f}", shown=True
        )


def frequencies(counts: Sequence[int], probabilities: Sequence[float], what: str = "the frequencies") -> None:
    """The counts of independent draws from a few outcomes are what `probabilities` gives, at a false alarm of 1e-12."""
    trials = sum(counts)
    if len(counts) != len(probabilities) or not trials > 0 or not all(n >= 0 for n in counts):
        raise Mismatch(f"{what}: there should be draws of {len(probabilities)} outcomes, not of {len(counts)}")
    limit = math.log(2 * len(counts) / FALSE_ALARM)
    if any(trials * _divergence(n / trials, p) > limit for n, p in zip(counts, probabilities, strict=True)):
        want = ", ".join(f"{p * trials:.0f}" for p in probabilities)
        raise Mismatch(f"{what} are not right", f"counts {list(counts)}", f"about {want}", shown=True)


def smallest_bias(trials: int, p: float) -> float:
    """The power of `proportion`: a true probability this far above `p` is caught with probability above 1 - 1e-9.

    Infinite where there are so few trials that none is.
    """
    limit, slack, low, high = math.log(2 / FALSE_ALARM), math.log(1e9), p, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        edge = _upper(p, limit / trials)
        caught = middle > edge and trials * _divergence(edge, middle) > slack
        low, high = (low, middle) if caught else (middle, high)
    return high - p if high < 1.0 else math.inf


def _upper(p: float, divergence: float) -> float:
    low, high = p, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _divergence(middle, p) < divergence else (low, middle)
    return high


def _divergence(q: float, p: float) -> float:
    """KL divergence in nats of a coin with probability q from one with probability p."""
    total = 0.0
    for a, b in ((q, p), (1 - q, 1 - p)):
        if a > 0:
            if b <= 0:
                return math.inf
            total += a * math.log(a / b)
    return total


# --- how it is done ---------------------------------------------------------------------------------------------------


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _map(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if _is_tensor(value):
        return change(value)
    if isinstance(value, numpy.ndarray) and value.dtype.kind == "f":
        return change(torch.from_numpy(value.copy())).numpy()
    if type(value) in (list, tuple):
        return type(value)(_map(item, change) for item in value)
    if type(value) is dict:
        return {key: _map(item, change) for key, item in value.items()}
    return value


def _upcast(x: torch.Tensor) -> torch.Tensor:
    return x.double() if x.is_floating_point() else x


def _signs(x: torch.Tensor) -> torch.Tensor:
    """Every entry moved by one unit in its last place, up or down: in a long sum the moves add up as roundings do."""
    return _moved(x, lambda index: torch.sin(12.9898 * index + 1).sign())


def _fractions(x: torch.Tensor) -> torch.Tensor:
    """Every entry moved by another fraction of that unit: no two entries that cancel each other are moved alike."""
    # Float64 holds no fractions of it, and where large numbers cancel its sums round single units away: hence 4.
    widest = 4 if x.dtype == torch.float64 else 1
    return _moved(x, lambda index: widest * (2 * (index * 0.6180339887498949).frac() - 1))


def _moved(x: torch.Tensor, units: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    if not x.is_floating_point():
        return x
    index = torch.arange(1, x.numel() + 1, dtype=torch.float64).reshape(x.shape)
    moved: torch.Tensor = x.double() * (1 + torch.finfo(x.dtype).eps * units(index))
    return moved


def _leaves(got: Any, want: Any, like: Any, where: str) -> list[tuple[Any, Any, str]]:
    """Pairs to compare, with the place of each; raises where the two are built differently."""
    if type(want) in (list, tuple):
        if type(got) is not type(want):
            raise Mismatch(f"should be a {type(want).__name__}{where}, not a {_kind(got)}", got, like)
        if len(got) != len(want):
            raise Mismatch(f"should have {len(want)} items{where}, not {len(got)}", got, like)
        holders = (list, tuple, dict, set, frozenset, float, torch.Tensor, numpy.ndarray)
        if not any(isinstance(item, holders) for item in want):
            return [(got, want, where)]
        pairs = [
            _leaves(a, b, b, f" at [{position}]{where}") for position, (a, b) in enumerate(zip(got, want, strict=True))
        ]
        return [leaf for pair in pairs for leaf in pair]
    if type(want) is dict:
        if type(got) is not dict:
            raise Mismatch(f"should be a dict{where}, not a {_kind(got)}", got, like)
        if {_typed(key) for key in got} != {_typed(key) for key in want}:
            raise Mismatch(f"has the wrong keys{where}", got, like)
        return [leaf for key in want for leaf in _leaves(got[key], want[key], want[key], f" at [{key!r}]{where}")]
    return [(got, want, where)]


def _typed(key: Any) -> tuple[type, Any]:
    """A key or a member with its type, for 1 == 1.0 == True."""
    if isinstance(key, tuple | frozenset):
        return type(key), type(key)(_typed(item) for item in key)
    return type(key), key


def _kind(value: Any) -> str:
    if _is_tensor(value):
        return f"tensor of shape {tuple(value.shape)}"
    target = getattr(value, "_target", None)
    return getattr(target, "kind", "") or type(value).__name__


def _tensor(got: Any, shape: Sequence[int] | None, dtype: torch.dtype | None, where: str) -> None:
    if not _is_tensor(got):
        raise Mismatch(f"should be a tensor{where}, not a {_kind(got)}", got)
    if shape is not None and tuple(got.shape) != tuple(shape):
        raise Mismatch(f"should have shape {tuple(shape)}{where}, not {tuple(got.shape)}", got)
    if dtype is not None and got.dtype != dtype:
        raise Mismatch(f"should have dtype {_name(dtype)}{where}, not {_name(got.dtype)}", got)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _exactly(got: Any, want: Any, where: str) -> None:
    if _is_tensor(want):
        _tensor(got, want.shape, want.dtype, where)
        if not bool(((got == want) | (got.isnan() & want.isnan())).all()):
            raise Mismatch(f"has wrong values{where}", got, want)
        return
    if isinstance(want, numpy.ndarray):
        if not isinstance(got, numpy.ndarray) or got.dtype != want.dtype or got.shape != want.shape:
            raise Mismatch(f"should be an array of shape {want.shape} and dtype {want.dtype}{where}", got, want)
        if not numpy.array_equal(got, want, equal_nan=want.dtype.kind == "f"):
            raise Mismatch(f"has wrong values{where}", got, want)
        return
    same_type = type(got) is type(want) or (isinstance(got, frozenset | set) and isinstance(want, frozenset | set))
    if not same_type:
        raise Mismatch(f"should be {_article(want)}{where}, not {_article(got)}", got, want)
    if type(want) in (list, tuple):
        strange = next((i for i, (a, b) in enumerate(zip(got, want, strict=True)) if type(a) is not type(b)), None)
        if strange is not None:
            raise Mismatch(
                f"item {strange}{where} should be {_article(want[strange])}, not {_article(got[strange])}", got, want
            )
    if isinstance(want, set | frozenset):
        if {_typed(item) for item in got} != {_typed(item) for item in want}:
            raise Mismatch(f"has the wrong members{where}", got, want)
        return
    if not (got == want or (isinstance(want, float) and math.isnan(want) and math.isnan(got))):
        raise Mismatch(f"is wrong{where}", got, want)


def _article(value: Any) -> str:
    return "None" if value is None else f"a {_kind(value)}"


def _number(got: Any, want: float, allowed: float, where: str) -> None:
    if type(got) is not float:
        raise Mismatch(f"should be a float{where}, not {_article(got)}", got, want)
    if math.isfinite(want):
        if not abs(got - want) <= allowed:
            raise Mismatch(f"is wrong{where}", got, want)
    elif not (got == want or (math.isnan(got) and math.isnan(want))):
        raise Mismatch(f"is wrong{where}", got, want)


def _values(
    got: torch.Tensor, want: torch.Tensor, allowed: torch.Tensor, where: str, returned: Any, expected: Any
) -> None:
    finite = want.isfinite()
    wide = got.double()
    if bool((finite & ~wide.isfinite()).any()):
        raise Mismatch(f"holds {_strange(wide[finite])} where the value is finite{where}", got, expected)
    same = (wide == want) | (wide.isnan() & want.isnan())
    if not bool((same | finite).all()):
        raise Mismatch(f"should be infinite or NaN where the definition is{where}", got, expected)
    near = (wide - want).abs() <= allowed.to(torch.float64)
    if not bool((near | ~finite).all()):
        raise Mismatch(f"has wrong values{where}", got, expected)


def _strange(values: torch.Tensor) -> str:
    return "NaN" if bool(values.isnan().any()) else "an infinite value"


def _agrees(returned: Any, exact: Any, others: list[Any], dtype: torch.dtype | None, where: str) -> None:
    """`others` are what honest computations return for `exact`; the first of them is in the dtype of the inputs."""
    if type(exact) in (list, tuple):
        if type(returned) is not type(exact) or len(returned) != len(exact):
            raise Mismatch(
                f"should be a {type(exact).__name__} of {len(exact)}{where}, not {_article(returned)}", returned, exact
            )
        for place, (got, want) in enumerate(zip(returned, exact, strict=True)):
            _agrees(got, want, [other[place] for other in others], dtype, f" at [{place}]{where}")
        return
    if type(exact) is dict:
        _leaves(returned, {key: None for key in exact} if type(returned) is dict else exact, exact, where)
        for key in exact:
            _agrees(returned[key], exact[key], [other[key] for other in others], dtype, f" at [{key!r}]{where}")
        return
    if isinstance(exact, float):
        stray = max(abs(other - exact) for other in others) if math.isfinite(exact) else 0.0
        _number(returned, exact, HONEST_ERRORS * (stray + float(numpy.finfo(numpy.float32).eps) * abs(exact)), where)
        return
    if not _is_tensor(exact) or not exact.is_floating_point():
        _exactly(returned, exact, where)
        return
    kind = dtype or others[0].dtype
    _tensor(returned, exact.shape, kind, where)
    zero = torch.zeros((), dtype=torch.float64)
    strays = torch.stack([(other.double() - exact).abs() for other in others])
    strays = torch.where(strays.isfinite(), strays, zero)
    scale = torch.where(exact.isfinite(), exact.abs(), zero)
    widest = strays.max() if strays.numel() else zero
    largest = scale.max() if scale.numel() else zero
    allowed = HONEST_ERRORS * (widest + torch.finfo(kind).eps * largest) + _TINY + torch.finfo(kind).tiny
    # Where honest arithmetic overflows in this dtype, overflowing is no mistake.
    excused = ~others[0].double().isfinite() & ~returned.double().isfinite() & exact.isfinite()
    compared = torch.where(excused, exact, returned.double())
    _values(compared, exact, allowed.expand_as(exact), where, returned, exact.to(kind))
