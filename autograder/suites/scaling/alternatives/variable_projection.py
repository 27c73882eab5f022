"""A valid solution: what is linear is solved for, and the two exponents are searched for on grids that close in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ScalingFit:
    A: float | Tensor
    B: float | Tensor
    E: float | Tensor
    alpha: float | Tensor
    beta: float | Tensor


@dataclass(frozen=True)
class KaplanFit:
    N_c: float | Tensor
    D_c: float | Tensor
    alpha_N: float | Tensor
    alpha_D: float | Tensor


@dataclass(frozen=True)
class SigmoidFit:
    A: float
    B: float
    C_mid: float
    R0: float


def non_embedding_params(n_layers, d_model, d_ff=None):
    if d_ff is None:
        return 12 * n_layers * d_model * d_model
    attention = [d_model * d_model for _ in ("q", "k", "v", "out")]
    return n_layers * (sum(attention) + d_model * d_ff + d_ff * d_model)


def forward_flops(n_layers, d_model, context_length, d_ff=None):
    keys = context_length * n_layers * d_model  # of which a causal token sees half
    return 2 * (non_embedding_params(n_layers, d_model, d_ff) + 2 * keys // 2)


def train_flops(N, D):
    forward = 2 * N * D
    return forward + 2 * forward


def predict_loss(N, D, fit):
    return N ** (-fit.alpha) * fit.A + D ** (-fit.beta) * fit.B + fit.E


def kaplan_loss(N, D, fit):
    inner = torch.logaddexp((math.log(fit.N_c) - N.log()) * (fit.alpha_N / fit.alpha_D), (math.log(fit.D_c) - D.log()))
    return (fit.alpha_D * inner).exp()


def fit_power_law(x, y):
    logs = torch.stack([x.double().log(), y.double().log()])
    if float(x.max()) == float(x.min()):
        raise ValueError("x has one value only")
    covariance = torch.cov(logs)
    exponent = covariance[0, 1] / covariance[0, 0]
    return math.exp(logs[1].mean() - exponent * logs[0].mean()), float(exponent)


def chinchilla_log_loss(theta, N, D):
    a, b, e, alpha, beta = (theta[..., i, None] for i in range(5))
    of_n, of_d = a - alpha * torch.log(N), b - beta * torch.log(D)
    log_loss = torch.logaddexp(torch.logaddexp(of_n, of_d), e.expand_as(of_n))
    p, q, r = ((x - log_loss).exp() for x in (of_n, of_d, e))
    jacobian = torch.zeros(*log_loss.shape, 5, dtype=log_loss.dtype, device=log_loss.device)
    for j, column in enumerate((p, q, r, -p * torch.log(N), -q * torch.log(D))):
        jacobian[..., j] = column
    return log_loss, jacobian


def huber_lse_objective(theta, N, D, L, delta=1e-3):
    theta = theta.detach().requires_grad_()
    with torch.enable_grad():
        predicted, _ = chinchilla_log_loss(theta, N, D)
        r = predicted - torch.log(L)
        small = r.abs() <= delta
        value = torch.where(small, 0.5 * r.square(), delta * (r.abs() - 0.5 * delta)).sum(-1)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
    return value.detach(), gradient


def chinchilla_starts():
    sides = [list(range(0, 30, 5))] * 2 + [[-1, -0.5, 0, 0.5, 1]] + [[0, 0.5, 1, 1.5, 2]] * 2
    return torch.cartesian_prod(*(torch.tensor(side, dtype=torch.float64) for side in sides))


def _cost(r, delta):
    return torch.where(r.abs() <= delta, r * r / 2, delta * (r.abs() - delta / 2)).sum(-1)


def _linear(columns, outer, target, delta, steps=60):
    """Minimise the cost of outer log(columns w) - target over positive w, for a batch of columns (b, n, k).

    In logarithms of w, so that it stays positive; Gauss and Newton's step, halved until it helps.
    """
    w = torch.full_like(columns[:, 0], 1 / columns.shape[-1]) * (target / outer[:, None]).mean(-1).exp()[:, None]
    w = (w / columns.mean(1)).log()
    outer = outer[:, None]

    def residual(w):
        return outer * (columns * w.exp()[:, None, :]).sum(-1).log() - target

    r, length = residual(w), torch.ones_like(outer)
    value = _cost(r, delta)
    for _ in range(steps):
        share = columns * w.exp()[:, None, :]
        jacobian = outer[..., None] * share / share.sum(-1, keepdim=True)  # (b, n, k)
        weight = delta / r.abs().clamp(min=delta)
        normal = jacobian.mT @ (weight[..., None] * jacobian)
        normal = (
            normal + 1e-10 * torch.eye(w.shape[-1], dtype=w.dtype) * normal.diagonal(0, 1, 2).amax(-1)[:, None, None]
        )
        step = torch.linalg.solve(normal, jacobian.mT @ (weight * r)[..., None])[..., 0].clamp(-3, 3)
        tried = w - length * step
        after = residual(tried)
        cost = _cost(after, delta)
        better = cost < value
        w, r = torch.where(better[:, None], tried, w), torch.where(better[:, None], after, r)
        value = torch.where(better, cost, value)
        length = torch.where(better[:, None], (2 * length).clamp(max=1), length / 4)
        if bool((length * step).abs().amax() < 1e-9):
            break
    return w, value


def _close_in(solve, low, high, rounds, points, wide=2.2):
    """The best pair of numbers in a box, on a grid that shrinks around the best so far."""
    best = None
    for _ in range(rounds):
        pair = torch.cartesian_prod(*(torch.linspace(a, b, points, dtype=torch.float64) for a, b in zip(low, high)))
        found, value = solve(pair)
        i = int(value.nan_to_num(math.inf).argmin())
        if best is None or float(value[i]) <= best[0]:
            best = float(value[i]), pair[i].tolist(), found[i].tolist()
        spans = [(b - a) * wide / (points - 1) for a, b in zip(low, high)]
        low = [max(c - span, 1e-4) for c, span in zip(best[1], spans)]
        high = [c + span for c, span in zip(best[1], spans)]
    return best


def fit_chinchilla(N, D, L, *, inits=None, delta=1e-3):
    log_n, log_d, target = N.double().log(), D.double().log(), L.double().log()
    mean_n, mean_d = log_n.mean(), log_d.mean()

    def solve(pair):
        alpha, beta = pair[:, :1], pair[:, 1:]
        columns = torch.stack(
            [(-alpha * (log_n - mean_n)).exp(), (-beta * (log_d - mean_d)).exp(), torch.ones(len(pair), len(target))],
            -1,
        )
        return _linear(columns.double(), torch.ones(len(pair), dtype=torch.float64), target, delta)

    value, (alpha, beta), (a, b, e) = _close_in(solve, [0.02, 0.02], [1.6, 1.6], 18, 9)
    theta = torch.stack(
        [a + alpha * mean_n, b + beta * mean_d, torch.tensor(e), torch.tensor(alpha), torch.tensor(beta)]
    )
    if inits is not None:
        of_inits = huber_lse_objective(inits.double(), N.double(), D.double(), L.double(), delta)[0]
        if float(of_inits.min()) < value:
            theta = inits[of_inits.argmin()].double()
    a, b, e, alpha, beta = theta.tolist()
    return ScalingFit(A=math.exp(a), B=math.exp(b), E=math.exp(e), alpha=alpha, beta=beta)


def fit_kaplan(N, D, L, *, delta=1e-3):
    log_n, log_d, target = N.double().log(), D.double().log(), L.double().log()
    mean_n, mean_d = log_n.mean(), log_d.mean()

    def solve(pair):
        rho, s = (pair[:, :1] - 10).exp(), (pair[:, 1] - 10).exp()
        columns = torch.stack([(-rho * (log_n - mean_n)).exp(), (mean_d - log_d).exp().expand(len(pair), -1)], -1)
        return _linear(columns, s, target, delta)

    def predict(theta):
        p, q, log_rho, log_s = theta
        terms = torch.stack([p - log_rho.exp() * (log_n - mean_n), q - (log_d - mean_d)])
        return log_s.exp() * terms.logsumexp(0)

    pair = torch.cartesian_prod(torch.linspace(-2, 2, 17), torch.linspace(-4, -0.2, 17)).double()
    linear, value = solve(pair + 10)
    starts = torch.cat([linear, pair], -1)[value.nan_to_num(math.inf).argsort()[:6]]
    _, (p, q, log_rho, log_s) = min(
        (_polish(predict, start, target, delta) for start in starts), key=lambda found: found[0]
    )
    rho, s = math.exp(log_rho), math.exp(log_s)
    return KaplanFit(
        N_c=math.exp(min(p / rho + mean_n, 700)), D_c=math.exp(min(q + mean_d, 700)), alpha_N=rho * s, alpha_D=s
    )


def _polish(predict, theta, target, delta, steps=150):
    """All parameters at once: Levenberg and Marquardt's step on reweighted squares."""
    r, damping = predict(theta) - target, 1e-3
    value = float(_cost(r, delta))
    for _ in range(steps):
        jacobian = torch.func.jacfwd(predict)(theta)
        weighted = jacobian * (delta / r.abs().clamp(min=delta))[:, None]
        normal = jacobian.mT @ weighted
        normal = normal + damping * normal.diagonal().clamp(min=1e-12).diag()
        tried = theta - torch.linalg.solve(normal, weighted.mT @ r)
        after = predict(tried) - target
        cost = float(_cost(after, delta))
        if cost < value:
            gained, theta, r, value, damping = value - cost, tried, after, cost, damping / 4
            if gained < 1e-12 * value:
                break
        elif damping > 1e6:
            break
        else:
            damping *= 4
    return value, theta.tolist()


def compute_optimal(C, fit):
    slope = (fit.beta * fit.B) / (fit.alpha * fit.A)  # N^-alpha / D^-beta at the optimum
    tokens = (C / 6) ** fit.alpha * slope  # D^(alpha + beta)
    D = tokens ** (1 / (fit.alpha + fit.beta))
    return C / (6 * D), D


def budget_for_loss(loss, fit):
    share = fit.beta / (fit.alpha + fit.beta)  # of the excess, that of the term in N
    excess = torch.where(loss > fit.E, loss - fit.E, torch.nan)
    N = (share * excess / fit.A) ** (-1 / fit.alpha)
    D = ((1 - share) * excess / fit.B) ** (-1 / fit.beta)
    return train_flops(N, D).nan_to_num(nan=math.inf)


def isoflop_optima(C, N, L):
    budgets, group = torch.unique(C.double(), return_inverse=True)
    optima = torch.full_like(budgets, math.nan)
    for g in range(len(budgets)):
        x, y = N[group == g].double().log(), L[group == g].double()
        if len(set(x.tolist())) < 3:
            continue
        z = (x - x.mean()) / x.std()
        V = torch.stack([z * z, z, torch.ones_like(z)], dim=1)
        r, q, _ = torch.linalg.pinv(V) @ y
        if r > 0:
            optima[g] = torch.exp(x.mean() - x.std() * q / (2 * r))
    return budgets, optima


def bootstrap_ci(statistic, data, n_boot=1000, level=0.95, generator=None):
    n = len(data)
    values = []
    for start in range(0, n_boot, 500):  # a few hundred resamples at a time
        many = min(500, n_boot - start)
        uniform = torch.rand(many * n, generator=generator, dtype=torch.float64)
        rows = (uniform * n).long().clamp(max=n - 1)
        values.append(statistic(data.index_select(0, rows).reshape(many, n, *data.shape[1:])))
    ordered = torch.cat(values).sort(dim=0).values
    ends = []
    for share in ((1 - level) / 2, 1 - (1 - level) / 2):
        place = share * (n_boot - 1)
        below = min(int(place), n_boot - 1)
        above = min(below + 1, n_boot - 1)
        ends.append(ordered[below] + (place - below) * (ordered[above] - ordered[below]))
    return ends[0], ends[1]


def bootstrap_chinchilla(N, D, L, fit, n_boot=1000, *, delta=1e-3, generator=None):
    rows = torch.randint(0, len(N), (n_boot, len(N)), generator=generator)
    log_n, log_d, target = N.double().log()[rows], D.double().log()[rows], L.double().log()[rows]  # (n_boot, n) each
    shift_n, shift_d = N.double().log().mean(), D.double().log().mean()
    log_n, log_d = log_n - shift_n, log_d - shift_d
    start = (math.log(fit.A) - fit.alpha * shift_n, math.log(fit.B) - fit.beta * shift_d, math.log(fit.E))
    theta = torch.tensor([*start, fit.alpha, fit.beta], dtype=torch.float64).repeat(n_boot, 1)
    radius = torch.full((n_boot, 1), 0.1, dtype=torch.float64)

    def evaluate(theta):
        a, b, e, alpha, beta = theta[:, :, None].unbind(1)
        terms = torch.stack([a - alpha * log_n, b - beta * log_d, e.expand_as(log_n)], -1)
        r = terms.logsumexp(-1) - target
        return r, terms.softmax(-1), _cost(r, delta)

    r, share, value = evaluate(theta)
    for _ in range(150):
        jacobian = torch.cat([share, -share[..., :1] * log_n[..., None], -share[..., 1:2] * log_d[..., None]], -1)
        weight = (delta / r.abs().clamp(min=delta))[..., None]
        normal = jacobian.mT @ (weight * jacobian)
        size, axes = torch.linalg.eigh(normal)  # along its axes, so that none is longer than the radius
        along = (axes.mT @ (jacobian.mT @ (weight * r[..., None])))[..., 0]
        step = along / size.clamp(min=1e-14 * size[:, -1:])
        step = torch.minimum(torch.maximum(step, -radius), radius)
        tried = theta - (axes @ step[..., None])[..., 0]
        after = evaluate(tried)
        better = after[2] < value
        theta = torch.where(better[:, None], tried, theta)
        r = torch.where(better[:, None], after[0], r)
        share = torch.where(better[:, None, None], after[1], share)
        value = torch.where(better, after[2], value)
        radius = torch.where(better[:, None], (2 * radius).clamp(max=3.0), radius / 3)
        if bool((radius < 1e-9).all()):
            break
    a, b, e, alpha, beta = theta.T
    return ScalingFit((a + alpha * shift_n).exp(), (b + beta * shift_d).exp(), e.exp(), alpha.clone(), beta.clone())


def sigmoid_curve(C, A, B, C_mid, R0):
    ratio = torch.exp(B * (math.log(C_mid) - torch.log(C)))  # infinite where C is 0, whose inverse is 0
    return R0 + (A - R0) * (1 / (1 + ratio))


def fit_sigmoid(C, R, *, R0=None, c_min=0.0):
    log_c = C[c_min <= C].double().log()
    R = R[c_min <= C].double()
    if len(R) < 4 - (R0 is not None):
        raise ValueError("too few runs")

    def solve(pair):
        """The best (A, R0) for each (log B + 10, log C_mid + 100): both are positive, as the grid wants them."""
        x = (pair[:, :1] - 10).exp() * (log_c - pair[:, 1:] + 100)
        s = torch.sigmoid(x)
        if R0 is not None:
            top = ((s * (R - R0 * (1 - s))).sum(-1) / (s * s).sum(-1)).clamp(max=1.0)
            low = torch.full_like(top, R0)
        else:
            mean_s, mean_r = s.mean(-1), R.mean()
            spread = ((s - mean_s[:, None]) ** 2).sum(-1)
            slope = ((s - mean_s[:, None]) * R).sum(-1) / spread
            low = mean_r - slope * mean_s
            top = low + slope
            t = 1 - s
            capped = ((t * (R - s)).sum(-1) / (t * t).sum(-1)).nan_to_num(0.0)
            low, top = torch.where(top > 1, capped, low), top.clamp(max=1.0)
        error = R - low[:, None] - (top - low)[:, None] * s
        return torch.stack([top, low], -1), (error**2).sum(-1)

    first, last = float(log_c.min()) + 100, float(log_c.max()) + 100
    _, (log_b, log_mid), (A, low) = _close_in(solve, [8.5, first - 2], [12.5, last + 2.5], 45, 31, wide=7)
    return SigmoidFit(A, math.exp(log_b - 10), math.exp(log_mid - 100), low)


def forecast(C, R, target_C, *, fraction=0.25, R0=None):
    seen = torch.nonzero(C.max() * fraction >= C).flatten()
    fit = fit_sigmoid(C.index_select(0, seen), R.index_select(0, seen), R0=R0)
    return sigmoid_curve(target_C, fit.A, fit.B, fit.C_mid, fit.R0)
