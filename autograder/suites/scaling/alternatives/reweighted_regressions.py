"""A valid solution: derivatives by autograd, regressions by QR, step halving, and a delta that shrinks to its value."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import torch
import torch.nn.functional as F
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
    width = d_ff or 4 * d_model
    total = 0
    for _ in range(n_layers):
        total += 2 * d_model * (2 * d_model + width)
    return total


def forward_flops(n_layers, d_model, context_length, d_ff=None):
    per_layer = 2 * non_embedding_params(1, d_model, d_ff) + 2 * d_model * context_length
    return n_layers * per_layer


def train_flops(N, D):
    return N * D * 6


def predict_loss(N, D, fit):
    A, B, E, alpha, beta = fit.A, fit.B, fit.E, fit.alpha, fit.beta
    return E + A * torch.exp(-alpha * torch.log(N)) + B * torch.exp(-beta * torch.log(D))


def kaplan_loss(N, D, fit):
    of_size = (fit.N_c / N).pow(fit.alpha_N / fit.alpha_D)
    return (of_size + fit.D_c / D).pow(fit.alpha_D)


def fit_power_law(x, y):
    log_x, log_y = torch.log(x.double()), torch.log(y.double())
    if len(set(log_x.tolist())) == 1:
        raise ValueError("all x are alike")
    middle = log_x.mean()
    q, r = torch.linalg.qr(torch.stack([torch.ones_like(log_x), log_x - middle], dim=1))
    level, exponent = torch.linalg.solve_triangular(r, (q.T @ log_y)[:, None], upper=True)[:, 0].tolist()
    return math.exp(level - exponent * float(middle)), exponent


def _log_loss(theta, N, D):
    a, b, e, alpha, beta = theta.unbind(-1)
    terms = [
        a[..., None] - alpha[..., None] * N.log(),
        b[..., None] - beta[..., None] * D.log(),
        e[..., None].expand(*theta.shape[:-1], len(N)),
    ]
    return torch.logsumexp(torch.stack(terms, dim=-1), dim=-1)


def _jacobian(function, theta):
    """Values (b, n) of a function of rows (b, p), and derivatives (b, n, p): one backward pass a column."""
    theta = theta.detach().requires_grad_()
    with torch.enable_grad():
        values = function(theta)
        columns = [torch.autograd.grad(values[:, i].sum(), theta, retain_graph=True)[0] for i in range(values.shape[1])]
    return values.detach(), torch.stack(columns, dim=1)


def chinchilla_log_loss(theta, N, D):
    values, jacobian = _jacobian(lambda rows: _log_loss(rows, N, D), theta.reshape(-1, 5))
    return values.reshape(*theta.shape[:-1], -1), jacobian.reshape(*theta.shape[:-1], -1, 5)


def huber_lse_objective(theta, N, D, L, delta=1e-3):
    leaf = theta.detach().clone().requires_grad_()
    with torch.enable_grad():
        r = _log_loss(leaf, N, D) - L.log()
        costs = F.huber_loss(r, torch.zeros_like(r), reduction="none", delta=delta).sum(-1)
        costs.sum().backward()
    return costs.detach(), leaf.grad


def chinchilla_starts():
    rows = [
        (a, b, e, alpha, beta)
        for a in range(0, 30, 5)
        for b in range(0, 30, 5)
        for e in (-1, -0.5, 0, 0.5, 1)
        for alpha in (0, 0.5, 1, 1.5, 2)
        for beta in (0, 0.5, 1, 1.5, 2)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def _regressions(function, theta, target, deltas, steps, floor=1e-10):
    """Each row of theta towards the least cost: weighted linear regressions, halved until the cost falls."""
    for delta in deltas:

        def cost(values, delta=delta):
            r = values - target
            return torch.where(r.abs() <= delta, r * r / 2, delta * (r.abs() - delta / 2)).sum(-1)

        best = cost(function(theta))
        for _ in range(steps):
            values, jacobian = _jacobian(function, theta)
            r = values - target
            root = torch.sqrt(delta / r.abs().clamp(min=delta)) if delta < math.inf else torch.ones_like(r)
            columns = root[..., None] * jacobian
            size = columns.norm(dim=1).clamp(min=1e-150)  # (b, p)
            ridge = floor**0.5 * torch.eye(theta.shape[1], dtype=theta.dtype).expand(len(theta), -1, -1)
            stacked = torch.cat([columns / size[:, None, :], ridge], dim=1)
            right = torch.cat([root * r, torch.zeros_like(theta)], dim=1)
            q, upper = torch.linalg.qr(stacked)
            step = torch.linalg.solve_triangular(upper, q.mT @ right[..., None], upper=True)[..., 0] / size
            step = step.nan_to_num(0.0).clamp(-5, 5)
            moved = torch.zeros(len(theta), dtype=torch.bool)
            length = 1.0
            while length > 1e-6 and not bool(moved.all()):
                tried = theta - length * step
                after = cost(function(tried))
                better = (after < best) & ~moved
                theta = torch.where(better[:, None], tried, theta)
                best = torch.where(better, after, best)
                moved |= better
                length /= 4
            if not bool(moved.any()):
                break
    return theta, best


def _shrinking(delta):
    return [d for d in (1.0, 0.03) if d > delta] + [delta]


def fit_chinchilla(N, D, L, *, inits=None, delta=1e-3):
    N, D, L = N.double(), D.double(), L.double()
    shift = torch.stack([N.log().mean(), D.log().mean()])
    n, d = N / shift[0].exp(), D / shift[1].exp()  # about 1: a and alpha no longer move together
    small = float(L.min())
    # The excess over three guesses at E, shared between both terms, with steep and flat exponents.
    rows = [
        (math.log(rest / 2), math.log(rest / 2), math.log(e), alpha, beta)
        for e in (0.3 * small, 0.6 * small, 0.9 * small)
        for rest in (float(L.mean()) - e,)
        for alpha in (0.2, 0.5)
        for beta in (0.2, 0.5)
    ]
    theta = torch.tensor(rows, dtype=torch.float64)
    if inits is not None:
        given = inits.double().clone()
        given[:, :2] -= given[:, 3:] * shift
        theta = torch.cat([given[huber_lse_objective(inits.double(), N, D, L, delta)[0].argsort()[:2]], theta])
    function = lambda rows: _log_loss(rows, n, d)  # noqa: E731
    theta, _ = _regressions(function, theta, L.log(), _shrinking(delta)[:-1], 12)
    if inits is not None:
        theta = torch.cat([theta, given])
    theta = theta[huber_lse_objective(theta, n, d, L, delta)[0].nan_to_num(math.inf).argsort()[:4]]
    theta, value = _regressions(function, theta, L.log(), [delta], 150)
    a, b, e, alpha, beta = theta[value.argmin()]
    a, b = a + alpha * shift[0], b + beta * shift[1]
    return ScalingFit(a.exp().item(), b.exp().item(), e.exp().item(), alpha.item(), beta.item())


def fit_kaplan(N, D, L, *, delta=1e-3):
    log_n, log_d, target = N.double().log(), D.double().log(), L.double().log()
    log_n, log_d, shift = log_n - log_n.mean(), log_d - log_d.mean(), (log_n.mean(), log_d.mean())

    def function(rows):
        p, q, rho, s = (column[:, None] for column in rows.unbind(-1))
        return s * torch.logaddexp(p - rho * log_n, q - log_d.expand(len(rows), -1))

    rows = [
        (float(target.mean()) / s + p, float(target.mean()) / s + q, rho, s)
        for p in (-2.0, -0.7)
        for q in (-2.0, -0.7)
        for rho in (0.4, 1.0, 2.0)
        for s in (0.08, 0.2)
    ]
    theta = torch.tensor(rows, dtype=torch.float64)
    theta, value = _regressions(function, theta, target, _shrinking(delta)[:-1] or [delta], 12)
    theta, value = _regressions(function, theta[value.argsort()[:4]], target, [delta], 150)
    p, q, rho, s = theta[value.argmin()].tolist()
    return KaplanFit(math.exp(p / rho + shift[0]), math.exp(q + shift[1]), rho * s, s)


def compute_optimal(C, fit):
    A, B, _, alpha, beta = fit.A, fit.B, fit.E, fit.alpha, fit.beta
    log = lambda x: torch.log(torch.as_tensor(x, dtype=C.dtype, device=C.device))  # noqa: E731
    log_n = (log(alpha * A) - log(beta * B) + beta * (log(C) - math.log(6))) / (alpha + beta)
    return log_n.exp(), (log(C) - math.log(6) - log_n).exp()


def budget_for_loss(loss, fit):
    of_both = 1 / fit.alpha + 1 / fit.beta
    reach = fit.A ** (1 / fit.alpha) * fit.B ** (1 / fit.beta)
    shares = (1 + fit.alpha / fit.beta) ** (1 / fit.alpha) * (1 + fit.beta / fit.alpha) ** (1 / fit.beta)
    return 6 * reach * shares / torch.relu(loss - fit.E) ** of_both


def isoflop_optima(C, N, L):
    found = {}
    for budget in sorted(set(C.tolist())):
        runs = [(math.log(n), loss) for c, n, loss in zip(C.tolist(), N.tolist(), L.tolist()) if c == budget]
        middle = sum(x for x, _ in runs) / len(runs)
        if len({x for x, _ in runs}) < 3:
            found[budget] = math.nan
            continue
        x = torch.tensor([x - middle for x, _ in runs], dtype=torch.float64)
        y = torch.tensor([y for _, y in runs], dtype=torch.float64)
        q, upper = torch.linalg.qr(torch.stack([torch.ones_like(x), x, x**2], dim=1))
        _, linear, square = torch.linalg.solve_triangular(upper, (q.T @ y)[:, None], upper=True)[:, 0].tolist()
        found[budget] = math.exp(middle - linear / square / 2) if square > 0 else math.nan
    return torch.tensor(list(found), dtype=torch.float64), torch.tensor(list(found.values()), dtype=torch.float64)


def bootstrap_ci(statistic, data, n_boot=1000, level=0.95, generator=None):
    n = data.shape[0]
    picks = torch.multinomial(torch.ones(n), n_boot * n, replacement=True, generator=generator).view(n_boot, n)
    values = statistic(data[picks])
    tail = (1 - level) / 2
    low, high = torch.quantile(values, torch.tensor([tail, 1 - tail], dtype=values.dtype), dim=0)
    return low, high


def bootstrap_chinchilla(N, D, L, fit, n_boot=1000, *, delta=1e-3, generator=None):
    N, D, L = N.double(), D.double(), L.double()
    n = len(N)
    drawn = torch.multinomial(torch.ones(n), n_boot * n, replacement=True, generator=generator).view(n_boot, n)
    A, B, E, alpha, beta = astuple(fit)
    shift_n, shift_d = N.log().mean(), D.log().mean()
    log_n, log_d, target = (N.log() - shift_n)[drawn], (D.log() - shift_d)[drawn], L.log()[drawn]
    start = [math.log(A) - alpha * shift_n, math.log(B) - beta * shift_d, math.log(E), alpha, beta]
    theta = torch.tensor(start, dtype=torch.float64).repeat(n_boot, 1)

    def function(rows):
        a, b, e, alpha, beta = (column[:, None] for column in rows.unbind(-1))
        return torch.logaddexp(torch.logaddexp(a - alpha * log_n, b - beta * log_d), e.expand_as(log_n))

    theta, _ = _regressions(function, theta, target, [delta], 40)
    a, b, e, alpha, beta = theta.unbind(-1)
    return ScalingFit((a + alpha * shift_n).exp(), (b + beta * shift_d).exp(), e.exp(), alpha, beta)


def sigmoid_curve(C, A, B, C_mid, R0):
    x = B * (torch.log(C) - math.log(C_mid))
    share = torch.where(x > 0, 1 / (1 + torch.exp(-x.abs())), torch.exp(-x.abs()) / (1 + torch.exp(-x.abs())))
    return (1 - share) * R0 + share * A


def fit_sigmoid(C, R, *, R0=None, c_min=0.0):
    kept = torch.tensor([c >= c_min for c in C.tolist()], dtype=torch.bool)
    log_c, R = C[kept].double().log(), R[kept].double()
    if len(R) < (3 if R0 is not None else 4):
        raise ValueError("the curve has more numbers than there are runs")

    def search(top):
        """Rows (log B, log C_mid, and what is free of A and R0)."""

        def function(rows):
            share = torch.sigmoid(rows[:, :1].exp() * (log_c - rows[:, 1:2]))
            A = rows[:, 2:3] if top is None else top
            low = rows[:, -1:] if R0 is None else R0
            return low + (A - low) * share

        spread = float(R.max() - R.min())
        free = [[]]
        if top is None:
            free = [[float(R.max()) + extra * spread] for extra in (0.0, 0.5)]
        if R0 is None:
            free = [[*values, float(R.min())] for values in free]
        mids = torch.linspace(log_c.min() - 0.5, log_c.max() + 1.5, 9).tolist()
        rows = [[math.log(b), mid, *values] for b in (0.7, 1.5, 3.0) for mid in mids for values in free]
        theta = torch.tensor(rows, dtype=torch.float64)
        theta, value = _regressions(function, theta, R, [math.inf], 6)
        theta, value = _regressions(function, theta[value.argsort()[:4]], R, [math.inf], 80, floor=1e-16)
        row = theta[value.argmin()].tolist()
        return row[2] if top is None else top, math.exp(row[0]), math.exp(row[1]), row[-1] if R0 is None else R0

    A, B, C_mid, low = search(None)
    if A > 1:
        A, B, C_mid, low = search(1.0)
    return SigmoidFit(A=A, B=B, C_mid=C_mid, R0=low)


def forecast(C, R, target_C, *, fraction=0.25, R0=None):
    limit = fraction * float(C.max())
    early = [i for i, c in enumerate(C.tolist()) if c <= limit]
    return sigmoid_curve(target_C, **vars(fit_sigmoid(C[early], R[early], R0=R0)))
