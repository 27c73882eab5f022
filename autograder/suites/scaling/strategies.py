"""What the tests of `scaling` draw, and oracles: the laws and objectives written out in float64.

Fits are judged by the objective that they reach and by what they predict. Coefficients are not compared: along a valley
of the objective very different A and alpha predict the same losses.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws
from autograder.judge.suite import reference

FIELDS = ("A", "B", "E", "alpha", "beta")
KAPLAN_FIELDS = ("N_c", "D_c", "alpha_N", "alpha_D")
SIGMOID_FIELDS = ("A", "B", "C_mid", "R0")
Values = tuple[Any, ...]

EPOCH = (482.01, 2085.43, 1.8172, 0.3478, 0.3658)  # Besiroglu et al. 2024, table 1
HOFFMANN = (406.4, 410.7, 1.69, 0.34, 0.28)  # Hoffmann et al. 2022, equation 10


# --- oracles ----------------------------------------------------------------------------------------------------------


def chinchilla(N: Tensor, D: Tensor, values: Values) -> Tensor:
    A, B, E, alpha, beta = values
    return E + A * N**-alpha + B * D**-beta


def kaplan(N: Tensor, D: Tensor, values: Values) -> Tensor:
    N_c, D_c, alpha_N, alpha_D = values
    return ((N_c / N) ** (alpha_N / alpha_D) + D_c / D) ** alpha_D


def sigmoid(C: Tensor, values: Values) -> Tensor:
    A, B, C_mid, R0 = values
    return R0 + (A - R0) / (1 + (-B * (C.log() - math.log(C_mid))).exp())


def huber(predicted: Tensor, L: Tensor, delta: float) -> float:
    """The objective of a fit: the sum of huber of the differences of logarithms."""
    return float(F.huber_loss(predicted.log(), L.log(), reduction="sum", delta=delta))


def log_loss(theta: Tensor, N: Tensor, D: Tensor) -> Tensor:
    """log L of a batch of (a, b, e, alpha, beta), by torch's logsumexp."""
    a, b, e, alpha, beta = theta[..., None].unbind(-2)
    terms = torch.broadcast_tensors(a - alpha * N.log(), b - beta * D.log(), e)
    return torch.stack(terms).logsumexp(0)


def huber_sum(theta: Tensor, N: Tensor, D: Tensor, L: Tensor, delta: float) -> Tensor:
    """The objective of a batch of (a, b, e, alpha, beta)."""
    predicted = log_loss(theta, N, D)
    return F.huber_loss(predicted, L.log().expand_as(predicted), reduction="none", delta=delta).sum(-1)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def uniform(draw: st.DrawFn, low: float, high: float) -> float:
    """A float that shrinks to a round one near the middle."""
    steps = draw(st.integers(-50, 50))
    return round((low + high) / 2 + steps * (high - low) / 100, 6)


@st.composite
def laws(draw: st.DrawFn) -> Values:
    """(A, B, E, alpha, beta) such that each of the three terms matters at a million to a billion parameters."""
    alpha, beta, E = uniform(draw, 0.2, 0.6), uniform(draw, 0.2, 0.6), uniform(draw, 0.8, 2.8)
    A = uniform(draw, 0.3, 1.7) * 3e7**alpha
    B = uniform(draw, 0.3, 1.7) * 3e9**beta
    return A, B, E, alpha, beta


@st.composite
def kaplan_laws(draw: st.DrawFn) -> Values:
    """(N_c, D_c, alpha_N, alpha_D) with losses of 1 to 6 nats in the same place."""
    alpha_N, alpha_D = uniform(draw, 0.06, 0.3), uniform(draw, 0.06, 0.3)
    return (
        3e7 * uniform(draw, 1.5, 3.5) ** (1 / alpha_N),
        3e9 * uniform(draw, 1.5, 3.5) ** (1 / alpha_D),
        alpha_N,
        alpha_D,
    )


def a_ladder(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """N and D of n runs: sizes over three decades, tokens over three, no two alike."""
    source = torch.Generator().manual_seed(seed)
    spread = torch.rand(2, n, generator=source, dtype=torch.float64)
    return 10 ** (6 + 3 * spread[0]), 10 ** (8 + 3 * spread[1])


@st.composite
def ladders(draw: st.DrawFn, min_runs: int = 15, max_runs: int = 40) -> tuple[Tensor, Tensor]:
    """(N, D) of some runs."""
    return a_ladder(draw(st.integers(min_runs, max_runs)), draw(draws.seeds()))


def normal(n: int, seed: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def noisy_runs(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Values]:
    """(N, D, L, law) with noise of 0.3 to 3 per cent."""
    values, (N, D) = draw(laws()), draw(ladders())
    noise = draw(st.sampled_from([0.003, 0.01, 0.03]))
    return N, D, chinchilla(N, D, values) * (noise * normal(len(N), draw(draws.seeds()))).exp(), values


@st.composite
def thetas(draw: st.DrawFn, scale: float = 1.0) -> Tensor:
    """A batch of (a, b, e, alpha, beta) with 0 to 2 leading dimensions."""
    lead = draw(draws.shapes(min_dims=0, max_dims=2, max_side=3))
    theta = torch.randn(*lead, 5, generator=torch.Generator().manual_seed(draw(draws.seeds())), dtype=torch.float64)
    theta = theta * torch.tensor([3.0, 3.0, 1.0, 0.3, 0.3], dtype=torch.float64)
    theta = (theta + torch.tensor([6.0, 7.0, 0.5, 0.35, 0.35], dtype=torch.float64)) * scale
    return draws.noncontiguous(theta) if draw(st.booleans()) else theta


@st.composite
def curves(draw: st.DrawFn) -> Values:
    """(A, B, C_mid, R0) of a sigmoid whose first quarter says how it ends: C_mid is early among budgets to 100."""
    return uniform(draw, 0.5, 0.95), uniform(draw, 1.5, 3.0), uniform(draw, 4.0, 10.0), uniform(draw, 0.0, 0.3)


# --- asking and reading -----------------------------------------------------------------------------------------------


def read(fit: Any, fields: tuple[str, ...] = FIELDS) -> Values:
    """The fields of a returned fit, which must be finite floats."""
    values = []
    for name in fields:
        value = getattr(fit, name)
        checks.holds(isinstance(value, float) and math.isfinite(value), f"{name} of the fit is a finite float", value)
        values.append(value)
    return tuple(values)


def read_many(fit: Any, n: int) -> Values:
    """The fields of a returned batch of fits, which must be finite float64 tensors (n,)."""
    values = []
    for name in FIELDS:
        value = getattr(fit, name)
        checks.tensor(value, shape=(n,), dtype=torch.float64)
        values.append(value)
    return tuple(values)


def best(N: Tensor, D: Tensor, L: Tensor, delta: float) -> float:
    """The smallest objective that the reference finds."""
    fit = reference("scaling").fit_chinchilla(N, D, L, delta=delta)
    return huber(chinchilla(N, D, tuple(getattr(fit, name) for name in FIELDS)), L, delta)


def as_theta(values: Values) -> Tensor:
    """(a, b, e, alpha, beta) of a law."""
    A, B, E, alpha, beta = values
    return torch.tensor([math.log(A), math.log(B), math.log(E), alpha, beta], dtype=torch.float64)
