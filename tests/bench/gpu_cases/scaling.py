"""The formulas of the scaling assignment in the dtype of their inputs, and its fits, which compute in float64 anywhere.

A fit is compared by what it predicts: both sides fit the same rounded runs in float64, one on the device and one on the
CPU, so they differ by the rounding of float64 and of the answer. Bootstraps draw where the runs are; a CPU draws others
than a GPU, so what is compared is that losses without noise give the law back from every resample.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Generator, Tensor

from gpu_cases import Case

LAW = (482.01, 2085.43, 1.8172, 0.3478, 0.3658)  # Besiroglu et al. 2024


def spread(small: int, large: int, n: int) -> Callable[[Generator, bool], tuple[Tensor, ...]]:
    """`n` tensors of numbers between 0 and 1, from which the calls make sizes and tokens."""
    return lambda generator, is_large: tuple(
        torch.rand(large if is_large else small, generator=generator, dtype=torch.float64) for _ in range(n)
    )


def sizes(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """N and D over three decades each."""
    return 10 ** (6 + 3 * x), 10 ** (8 + 3 * y)


def runs(scaling: ModuleType, x: Tensor, y: Tensor, noise: Tensor | float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """N, D and L in float64, from inputs of any dtype."""
    N, D = sizes(x.double(), y.double())
    z = noise.double() - 0.5 if isinstance(noise, Tensor) else torch.zeros_like(N)
    return N, D, scaling.predict_loss(N, D, scaling.ScalingFit(*LAW)) * (0.03 * z).exp()


def law(scaling: ModuleType, x: Tensor, y: Tensor) -> Tensor:
    return scaling.predict_loss(*sizes(x, y), scaling.ScalingFit(*LAW))


def kaplan(scaling: ModuleType, x: Tensor, y: Tensor) -> Tensor:
    return scaling.kaplan_loss(*sizes(x, y), scaling.KaplanFit(N_c=8.8e9, D_c=5.4e12, alpha_N=0.076, alpha_D=0.103))


def optimum(scaling: ModuleType, x: Tensor) -> Tensor:
    """log D - log N: the products overflow no dtype, and what is compared is of the order of 1."""
    N, D = scaling.compute_optimal(10 ** (12 + 4 * x), scaling.ScalingFit(*LAW))
    return D.log() - N.log()


def objective(scaling: ModuleType, x: Tensor, y: Tensor) -> Tensor:
    """Value and gradient at every tenth start, in float64: a bfloat16 cannot tell a residual from delta."""
    N, D, L = runs(scaling, x, y)
    theta = scaling.chinchilla_starts()[::10].to(x.device)
    value, gradient = scaling.huber_lse_objective(theta, N, D, L)
    return torch.cat((value[:, None], gradient), dim=1).to(x.dtype)


def chinchilla_fit(scaling: ModuleType, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    N, D, L = runs(scaling, x, y, noise)
    return scaling.predict_loss(N, D, scaling.fit_chinchilla(N, D, L)).to(x.dtype)


def kaplan_fit(scaling: ModuleType, x: Tensor, y: Tensor) -> Tensor:
    N, D = sizes(x.double(), y.double())
    L = scaling.kaplan_loss(N, D, scaling.KaplanFit(N_c=3e9, D_c=5e12, alpha_N=0.15, alpha_D=0.12))
    return scaling.kaplan_loss(N, D, scaling.fit_kaplan(N, D, L)).to(x.dtype)


def bootstraps(scaling: ModuleType, x: Tensor, y: Tensor) -> Tensor:
    N, D, L = runs(scaling, x, y)
    source = torch.Generator(device=x.device).manual_seed(0)
    off = scaling.ScalingFit(*(value * 1.01 for value in LAW))
    fits = scaling.bootstrap_chinchilla(N, D, L, off, 1000, generator=source)
    return scaling.predict_loss(N[0], D[0], fits).to(x.dtype)


def curve_fit(scaling: ModuleType, noise: Tensor) -> Tensor:
    C = torch.linspace(1, 100, len(noise), dtype=torch.float64, device=noise.device)
    R = scaling.sigmoid_curve(C, A=0.8, B=1.8, C_mid=8.0, R0=0.2) + 0.01 * (noise.double() - 0.5)
    return scaling.forecast(C, R, C, fraction=0.5).to(noise.dtype)


CASES = [
    Case("predict_loss", spread(300, 10_000_000, n=2), law),
    Case("kaplan_loss", spread(300, 10_000_000, n=2), kaplan),
    Case("compute_optimal", spread(300, 10_000_000, n=1), optimum, bfloat16=5e-2),
    Case(
        "sigmoid_curve",
        spread(300, 10_000_000, n=1),
        lambda scaling, x: scaling.sigmoid_curve(100 * x, A=0.8, B=1.8, C_mid=8.0, R0=0.2),
    ),
    Case("huber_lse_objective in float64", spread(60, 5_000, n=2), objective),
    Case("fit_chinchilla in float64", spread(60, 2_000, n=3), chinchilla_fit),
    Case("fit_kaplan in float64", spread(60, 2_000, n=2), kaplan_fit),
    Case("bootstrap_chinchilla in float64", spread(60, 1_000, n=2), bootstraps),
    Case("forecast in float64", spread(60, 2_000, n=1), curve_fit),
]
