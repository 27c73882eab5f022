"""Scaling laws: what a loss will be before the compute for it is spent.

Build in the order of the file; later functions use the ones above. The handout (README.md) has the maths. N is a number
of parameters, D a number of training tokens, C a number of FLOPs, L a loss in nats a token. N, D, C, L and R are
tensors whose shapes broadcast. What only evaluates a formula keeps dtype and device; what fits one computes in float64,
for scaling laws are badly conditioned. No function changes an argument. `log` is the natural logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class ScalingFit:
    """L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, equation 2). (Given.)

    The fields are numbers, or tensors of one shape for many fits at once.
    """

    A: float | Tensor
    B: float | Tensor
    E: float | Tensor
    alpha: float | Tensor
    beta: float | Tensor


@dataclass(frozen=True)
class KaplanFit:
    """L(N, D) = ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D (Kaplan et al. 2020, equation 1.5). (Given.)"""

    N_c: float | Tensor
    D_c: float | Tensor
    alpha_N: float | Tensor
    alpha_D: float | Tensor


@dataclass(frozen=True)
class SigmoidFit:
    """R(C) = R0 + (A - R0) / (1 + (C_mid / C)^B) (Khatri et al. 2025, equation 1). (Given.)"""

    A: float
    B: float
    C_mid: float
    R0: float


# --- counting ---------------------------------------------------------------------------------------------------------


def non_embedding_params(n_layers: int, d_model: int, d_ff: int | None = None) -> int:
    """Return the number of weights in the matrices of a transformer's layers (Kaplan et al. 2020, table 1).

    Each layer has four d_model x d_model matrices for attention and two d_model x d_ff matrices for the MLP. `d_ff`
    defaults to 4 * d_model. Embeddings, positions, biases and norms do not count.

    non_embedding_params(2, 8) -> 1536, that is 12 * 2 * 8^2;  non_embedding_params(1, 8, d_ff=8) -> 384
    """
    raise NotImplementedError


def forward_flops(n_layers: int, d_model: int, context_length: int, d_ff: int | None = None) -> int:
    """Return the FLOPs of one token's forward pass: 2 N + 2 n_layers context_length d_model (Kaplan et al. 2020, 2.2).

    The first term is a multiplication and an addition a weight. The second is attention itself: q k^T and the weighted
    sum of values take 2 * 2 * d_model FLOPs a key, and a token sees half of the context on average.

    forward_flops(2, 8, 16) -> 3584, that is 2 * 1536 + 2 * 2 * 16 * 8
    """
    raise NotImplementedError


def train_flops(N: Float[Tensor, "..."], D: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return the FLOPs of training N parameters on D tokens: 6 N D. Plain numbers are welcome too.

    Two a weight and token for the forward pass, four for the backward pass (Kaplan et al. 2020, section 2.1).

    train_flops(1e9, 2e10) -> 1.2e20
    """
    raise NotImplementedError


# --- two laws ---------------------------------------------------------------------------------------------------------


def predict_loss(N: Float[Tensor, "..."], D: Float[Tensor, "..."], fit: ScalingFit) -> Float[Tensor, "..."]:
    """Return E + A / N^alpha + B / D^beta, with N, D and the fields of `fit` broadcast against each other.

    E is what no model and no data can remove: the entropy of the text. A and B are not irreducible; they vanish.

    predict_loss(16, 81, ScalingFit(A=4, B=9, E=1, alpha=0.5, beta=0.5)) -> 1 + 4/4 + 9/9 = 3
    """
    raise NotImplementedError


def kaplan_loss(N: Float[Tensor, "..."], D: Float[Tensor, "..."], fit: KaplanFit) -> Float[Tensor, "..."]:
    """Return ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D, with everything broadcast.

    With D -> infinity it is (N_c / N)^alpha_N, with N -> infinity (D_c / D)^alpha_D: nothing is irreducible here.

    kaplan_loss(4, 2, KaplanFit(N_c=16, D_c=4, alpha_N=0.5, alpha_D=0.5)) -> (16/4 + 4/2)^0.5 = sqrt(6)
    """
    raise NotImplementedError


def fit_power_law(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> tuple[float, float]:
    """Return (coefficient, exponent) of y = coefficient * x^exponent by least squares of log y on log x.

    x and y are positive. Raises ValueError where x has fewer than two different values.

    fit_power_law([1, 10, 100], [2, 20, 200]) -> (2.0, 1.0)
    """
    raise NotImplementedError


# --- fitting the parametric law ---------------------------------------------------------------------------------------


def chinchilla_log_loss(
    theta: Float[Tensor, "... 5"], N: Float[Tensor, " n"], D: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "... n"], Float[Tensor, "... n 5"]]:
    """Return the logarithm of the predicted losses and its derivatives with respect to theta.

    theta = (a, b, e, alpha, beta) with a = log A, b = log B, e = log E, so that A, B and E stay positive:

        log L(N, D) = logsumexp(a - alpha log N, b - beta log D, e)      (Hoffmann et al. 2022, equation 3)

    It does not overflow, whatever the size of a, b and e. Leading dimensions of theta are a batch of parameters; the
    derivative with respect to theta_j is in jacobian[..., j]. Works in the dtype of its arguments.

    chinchilla_log_loss([0, 0, 0, 1, 1], N=[1], D=[1]) -> [log 3], [[1/3, 1/3, 1/3, 0, 0]]
    """
    raise NotImplementedError


def huber_lse_objective(
    theta: Float[Tensor, "... 5"],
    N: Float[Tensor, " n"],
    D: Float[Tensor, " n"],
    L: Float[Tensor, " n"],
    delta: float = 1e-3,
) -> tuple[Float[Tensor, "..."], Float[Tensor, "... 5"]]:
    """Return the objective of the fit and its gradient with respect to theta (Hoffmann et al. 2022, equation 3).

        objective(theta) = SUM over runs of huber(log L_predicted - log L)

    with huber(r) = r^2 / 2 where |r| <= delta, and delta * (|r| - delta / 2) beyond. The SUM, not the mean: a solver
    that stops at a small gradient stops too early on a mean. Leading dimensions of theta are a batch.

    With one run, N = D = 1, theta = (0, 0, 0, 1, 1), L = 3 / e and delta = 0.5: the residual is 1, and the objective
    0.5 * (1 - 0.25) = 0.375, its gradient 0.5 * (1/3, 1/3, 1/3, 0, 0).
    """
    raise NotImplementedError


def chinchilla_starts() -> Float[Tensor, "4500 5"]:
    """Return the 4,500 starting points of Hoffmann et al. (2022, appendix D), rows (a, b, e, alpha, beta). (Given.)

    Every combination of a, b in {0, 5, ..., 25}, e in {-1, -0.5, ..., 1} and alpha, beta in {0, 0.5, ..., 2}.
    """
    coefficients = torch.arange(0.0, 30.0, 5.0, dtype=torch.float64)
    exponents = torch.arange(0.0, 2.5, 0.5, dtype=torch.float64)
    return torch.cartesian_prod(coefficients, coefficients, exponents - 1, exponents, exponents)


def minimise(
    model: Callable[[Float[Tensor, "b p"]], tuple[Float[Tensor, "b n"], Float[Tensor, "b n p"]]],
    theta: Float[Tensor, "b p"],
    target: Float[Tensor, " n"],
    *,
    weights: Float[Tensor, "#b n"] | None = None,
    delta: float = math.inf,
    steps: int = 100,
) -> tuple[Float[Tensor, "b p"], Float[Tensor, " b"]]:
    """Minimise sum_i weights_i huber(model(theta)_i - target_i) from every row of theta at once.

    `model` returns predictions and their jacobian. Returns the parameters reached and their objectives, none worse than
    where its row started. Nothing tests this function by itself: it is here because the fits below need something like
    it, and any minimiser that is batched will do. A way that works is Levenberg and Marquardt's (handout, "A solver").
    """
    raise NotImplementedError


def fit_chinchilla(
    N: Float[Tensor, " n"],
    D: Float[Tensor, " n"],
    L: Float[Tensor, " n"],
    *,
    inits: Float[Tensor, "m 5"] | None = None,
    delta: float = 1e-3,
) -> ScalingFit:
    """Return the law that minimises `huber_lse_objective` over theta, as numbers A, B, E, alpha, beta.

    `inits` are starting points, rows (a, b, e, alpha, beta): the result is at least as good as the best of them. None
    means starts of your own choice, enough to reach the optimum wherever the data has one; `chinchilla_starts` are the
    paper's. Minimise from many starts in one batch: a loop that runs a minimiser from each takes minutes.

    Losses that a law makes without noise give the law back.
    """
    raise NotImplementedError


def fit_kaplan(
    N: Float[Tensor, " n"], D: Float[Tensor, " n"], L: Float[Tensor, " n"], *, delta: float = 1e-3
) -> KaplanFit:
    """Return Kaplan's joint law that minimises the same objective: SUM of huber(log L_predicted - log L).

    A hint: log L = s logsumexp(p - rho log N, q - log D) with s = alpha_D, rho = alpha_N / alpha_D, p = rho log N_c and
    q = log D_c. Good starts depend on the data: where both terms are alike, p - rho log N and q - log D are
    (log L) / s - log 2.

    Losses that a law makes without noise give the law back.
    """
    raise NotImplementedError


# --- what a law is for ------------------------------------------------------------------------------------------------


def compute_optimal(C: Float[Tensor, "..."], fit: ScalingFit) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """Return (N, D) with 6 N D = C at which the loss is smallest (Hoffmann et al. 2022, equation 4).

    N = G (C / 6)^(beta / (alpha + beta)) and D = (C / 6)^(alpha / (alpha + beta)) / G, where
    G = (alpha A / (beta B))^(1 / (alpha + beta)). C and the fields of `fit` broadcast.

    compute_optimal(600, ScalingFit(A=1, B=1, E=1, alpha=0.5, beta=0.5)) -> (10, 10)
    """
    raise NotImplementedError


def budget_for_loss(loss: Float[Tensor, "..."], fit: ScalingFit) -> Float[Tensor, "..."]:
    """Return the smallest number of FLOPs at which `fit` reaches `loss`: the inverse of compute-optimal training.

    At the optimum alpha A / N^alpha = beta B / D^beta, so the excess loss - E determines N and D, and C = 6 N D. A loss
    of E or less is reached by no budget: infinity.

    ScalingFit(A=1, B=1, E=1, alpha=1, beta=1): budget_for_loss(1.5) -> N = D = 4, so 96;  budget_for_loss(1) -> inf
    """
    raise NotImplementedError


def isoflop_optima(
    C: Float[Tensor, " n"], N: Float[Tensor, " n"], L: Float[Tensor, " n"]
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Return (budgets, N_opt): the different values of C, ascending, and the best model size for each, in float64.

    For the runs of one budget, fit L = p + q log N + r (log N)^2 by least squares; N_opt is where that parabola is
    lowest (Hoffmann et al. 2022, section 3.2). NaN where it has no lowest point (r is not positive), or where the
    budget has fewer than three different N.

    C = [6, 6, 6], N = [1, e, e^2], L = [3, 2, 3] -> [6], [e]
    """
    raise NotImplementedError


# --- how sure one can be ----------------------------------------------------------------------------------------------


def bootstrap_ci(
    statistic: Callable[[Float[Tensor, "b n ..."]], Float[Tensor, "b ..."]],
    data: Float[Tensor, "n ..."],
    n_boot: int = 1000,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """Return the ends (low, high) of the percentile interval of a statistic (Efron and Tibshirani 1993, chapter 13).

    Draw `n_boot` resamples of `data`: n rows each, with replacement, whole rows. `statistic` takes a batch of them, as
    many at a time as you like, (b, n, ...) -> (b, ...). The ends are the quantiles (1 - level) / 2 and (1 + level) / 2
    of its values, with linear interpolation as in torch.quantile.

    bootstrap_ci(lambda samples: samples.mean(1), torch.full((9,), 4.0)) -> (4.0, 4.0)
    """
    raise NotImplementedError


def bootstrap_chinchilla(
    N: Float[Tensor, " n"],
    D: Float[Tensor, " n"],
    L: Float[Tensor, " n"],
    fit: ScalingFit,
    n_boot: int = 1000,
    *,
    delta: float = 1e-3,
    generator: torch.Generator | None = None,
) -> ScalingFit:
    """Return `n_boot` fits at once, each to n runs drawn with replacement: a ScalingFit of float64 tensors (n_boot,).

    Start each from `fit`, which is that of all runs. A run that was drawn k times has the weight k in the objective, so
    a resample is a row of weights, and all resamples are one batch.

    `predict_loss` of the result at one (N, D) gives (n_boot,) losses, whose quantiles are an interval.
    """
    raise NotImplementedError


# --- reinforcement learning: a sigmoid --------------------------------------------------------------------------------


def sigmoid_curve(
    C: Float[Tensor, "..."],
    A: float | Tensor,
    B: float | Tensor,
    C_mid: float | Tensor,
    R0: float | Tensor,
) -> Float[Tensor, "..."]:
    """Return R0 + (A - R0) / (1 + (C_mid / C)^B): a logistic curve in log C (Khatri et al. 2025, equation 1).

    It rises from R0 at little compute to A at much, and is half-way at C_mid. Finite for every C >= 0: R0 at C = 0.

    sigmoid_curve(10, A=0.9, B=1, C_mid=30, R0=0.1) -> 0.1 + 0.8 / 4 = 0.3
    """
    raise NotImplementedError


def fit_sigmoid(
    C: Float[Tensor, " n"], R: Float[Tensor, " n"], *, R0: float | None = None, c_min: float = 0.0
) -> SigmoidFit:
    """Return the sigmoid of least squares, SUM (R_predicted - R)^2, over the runs with C >= c_min.

    R are pass rates, so A <= 1 is required of the result; B and C_mid are positive. R0 is the reward before training
    where it is known; None means that it is fitted too. Raises ValueError where fewer runs remain than numbers are
    fitted: 4, or 3 with R0. C > 0.

    Rewards that a curve makes without noise give the curve back.
    """
    raise NotImplementedError


def forecast(
    C: Float[Tensor, " n"],
    R: Float[Tensor, " n"],
    target_C: Float[Tensor, "..."],
    *,
    fraction: float = 0.25,
    R0: float | None = None,
) -> Float[Tensor, "..."]:
    """Return what the sigmoid that is fitted to the runs with C <= fraction * max(C) predicts at `target_C`.

    The other rewards are not looked at: a forecast that has seen what it forecasts is worth nothing.

    With C = [1, 2, ..., 100] and fraction = 0.25 the fit sees the first 25 runs.
    """
    raise NotImplementedError
