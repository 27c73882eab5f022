"""The reference of `scaling` against libraries that were written by others: scipy's minimisers, curve_fit and
bootstrap, numpy's polyfit, torch's gradcheck."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from autograder.course import open_course
from autograder.judge.suite import load

optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")

LAWS = [
    (482.01, 2085.43, 1.8172, 0.3478, 0.3658),  # Besiroglu et al. 2024
    (406.4, 410.7, 1.69, 0.34, 0.28),  # Hoffmann et al. 2022
    (20.0, 9000.0, 0.9, 0.2, 0.45),
]


@pytest.fixture(scope="module")
def scaling() -> ModuleType:
    return load(open_course().assignment("scaling").solution)


def runs(scaling, law, n=60, noise=0.01, seed=0):
    """N, D and L of some runs, two of them far off."""
    source = torch.Generator().manual_seed(seed)
    N = 10 ** (7 + 3 * torch.rand(n, generator=source, dtype=torch.float64))
    D = 10 ** (8.5 + 2.5 * torch.rand(n, generator=source, dtype=torch.float64))
    L = scaling.predict_loss(N, D, scaling.ScalingFit(*law))
    L = L * (noise * torch.randn(n, generator=source, dtype=torch.float64)).exp()
    L[:2] *= 1.2
    return N, D, L


def objective_in_scipy(theta, N, D, L, delta):
    """The objective by scipy's huber and logsumexp, without a gradient."""
    from scipy.special import huber, logsumexp

    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * np.log(N), b - beta * np.log(D), np.full_like(N, e)])
    return float(huber(delta, logsumexp(terms, axis=0) - np.log(L)).sum())


def theta_of(fit):
    return np.array([math.log(fit.A), math.log(fit.B), math.log(fit.E), fit.alpha, fit.beta])


@pytest.mark.parametrize("delta", [1e-3, 0.05])
@pytest.mark.parametrize("law", LAWS)
def test_the_objective_is_scipys(scaling, law, delta):
    N, D, L = runs(scaling, law)
    theta = torch.tensor([*np.log(law[:3]), *law[3:]]) + 0.05
    value, _ = scaling.huber_lse_objective(theta, N, D, L, delta=delta)
    assert float(value) == pytest.approx(
        objective_in_scipy(theta.numpy(), *(x.numpy() for x in (N, D, L)), delta), rel=1e-12
    )


def test_derivatives_pass_gradcheck(scaling):
    N, D, L = runs(scaling, LAWS[0], n=5)
    theta = (torch.tensor([6.0, 7.5, 0.5, 0.3, 0.4]).double() + torch.arange(3)[:, None] / 10).requires_grad_()

    class Objective(torch.autograd.Function):
        @staticmethod
        def forward(ctx, theta):
            value, ctx.gradient = scaling.huber_lse_objective(theta.detach(), N, D, L, delta=0.02)
            return value

        @staticmethod
        def backward(ctx, upstream):
            return upstream[:, None] * ctx.gradient

    assert torch.autograd.gradcheck(Objective.apply, (theta,))


@pytest.mark.parametrize("delta", [1e-3, 0.05])
@pytest.mark.parametrize("law", LAWS)
def test_no_minimiser_of_scipy_finds_a_lower_point(scaling, law, delta):
    N, D, L = runs(scaling, law)
    arrays = tuple(x.numpy() for x in (N, D, L))
    fit = scaling.fit_chinchilla(N, D, L, delta=delta)
    ours = objective_in_scipy(theta_of(fit), *arrays, delta)
    truth = np.array([*np.log(law[:3]), *law[3:]])
    for start in (theta_of(fit), truth):
        for method in ("Nelder-Mead", "Powell", "L-BFGS-B"):
            tight = {"Nelder-Mead": {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20_000, "maxfev": 20_000}}.get(method)
            found = optimize.minimize(objective_in_scipy, start, args=(*arrays, delta), method=method, options=tight)
            assert ours <= found.fun * (1 + 1e-6)


def test_least_squares_in_the_limit_of_a_large_delta(scaling):
    N, D, L = runs(scaling, LAWS[0])
    fit = scaling.fit_chinchilla(N, D, L, delta=10.0)

    def residuals(theta):
        log_loss, _ = scaling.chinchilla_log_loss(torch.as_tensor(theta), N, D)
        return (log_loss - L.log()).numpy()

    found = optimize.least_squares(residuals, theta_of(fit), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    predicted, _ = scaling.chinchilla_log_loss(torch.as_tensor(found.x), N, D)
    assert torch.allclose(predicted.exp(), scaling.predict_loss(N, D, fit), rtol=1e-6)


def test_no_minimiser_of_scipy_finds_a_better_kaplan_law(scaling):
    N, D, L = runs(scaling, LAWS[1])
    fit = scaling.fit_kaplan(N, D, L, delta=0.05)

    def objective(theta):
        law = scaling.KaplanFit(math.exp(theta[0]), math.exp(theta[1]), theta[2], theta[3])
        return float(F.huber_loss(scaling.kaplan_loss(N, D, law).log(), L.log(), reduction="sum", delta=0.05))

    ours = np.array([math.log(fit.N_c), math.log(fit.D_c), fit.alpha_N, fit.alpha_D])
    for start in (ours, ours * 1.02, ours * 0.98):
        tight = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 10_000, "maxfev": 10_000}
        found = optimize.minimize(objective, start, method="Nelder-Mead", options=tight)
        assert objective(ours) <= found.fun * (1 + 1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_the_optimum_is_that_of_a_scalar_search(scaling, law):
    fit = scaling.ScalingFit(*law)
    for C in (1e18, 1e21, 1e24):
        found = optimize.minimize_scalar(
            lambda log_n, C=C: float(scaling.predict_loss(np.exp(log_n), C / 6 / np.exp(log_n), fit)),
            bounds=(10, 35), method="bounded", options={"xatol": 1e-10},
        )  # fmt: skip
        N, D = scaling.compute_optimal(torch.tensor(C, dtype=torch.float64), fit)
        assert float(scaling.predict_loss(N, D, fit)) == pytest.approx(found.fun, rel=1e-12)
        assert math.log(N) == pytest.approx(found.x, abs=1e-4)
        assert float(scaling.budget_for_loss(torch.tensor(found.fun, dtype=torch.float64), fit)) == pytest.approx(
            C, rel=1e-8
        )


def test_power_laws_are_linregress(scaling):
    x = torch.logspace(2, 9, 20, dtype=torch.float64)
    noise = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = 3 * x**-0.4 * noise.exp()
    line = stats.linregress(x.log().numpy(), y.log().numpy())
    assert scaling.fit_power_law(x, y) == pytest.approx((math.exp(line.intercept), line.slope), rel=1e-9)


def test_parabolas_are_polyfit(scaling):
    source = torch.Generator().manual_seed(0)
    N = 10 ** (6 + 2 * torch.rand(3, 9, generator=source, dtype=torch.float64))
    L = 2 + 0.2 * (N.log() - 16.5) ** 2 + 0.05 * torch.rand(3, 9, generator=source, dtype=torch.float64)
    C = torch.tensor([1e18, 1e19, 1e20], dtype=torch.float64)[:, None].expand(3, 9)
    _, optima = scaling.isoflop_optima(C.flatten(), N.flatten(), L.flatten())
    for n, loss, best in zip(N, L, optima, strict=True):
        r, q, _ = np.polyfit(np.log(n.numpy()), loss.numpy(), 2)
        assert float(best) == pytest.approx(math.exp(-q / (2 * r)), rel=1e-7)


def test_intervals_are_scipys(scaling):
    data = torch.randn(80, generator=torch.Generator().manual_seed(0), dtype=torch.float64).exp()
    n = 20_000
    low, high = scaling.bootstrap_ci(
        lambda samples: samples.median(1).values, data, n, 0.9, torch.Generator().manual_seed(1)
    )
    theirs = stats.bootstrap(
        (data.numpy(),), lambda x, axis: np.partition(x, 39, axis=axis)[..., 39], n_resamples=n, confidence_level=0.9,
        method="percentile", vectorized=True, rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    spread = float(high - low)
    assert float(low) == pytest.approx(theirs.low, abs=0.1 * spread)
    assert float(high) == pytest.approx(theirs.high, abs=0.1 * spread)


@pytest.mark.parametrize("known", [True, False])
def test_curves_are_curve_fit(scaling, known):
    C = torch.linspace(1, 100, 60, dtype=torch.float64)
    noise = 0.01 * torch.randn(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    R = scaling.sigmoid_curve(C, 0.8, 1.9, 12.0, 0.15) + noise
    fit = scaling.fit_sigmoid(C, R, R0=0.15 if known else None)

    def curve(C, A, B, C_mid, R0=0.15):
        return R0 + (A - R0) / (1 + (C_mid / C) ** B)

    start = [0.8, 1.9, 12.0] if known else [0.8, 1.9, 12.0, 0.15]
    theirs, _ = optimize.curve_fit(curve, C.numpy(), R.numpy(), p0=start, xtol=1e-12, ftol=1e-12)
    ours = [fit.A, fit.B, fit.C_mid] if known else [fit.A, fit.B, fit.C_mid, fit.R0]
    assert ours == pytest.approx(theirs.tolist(), rel=1e-4)
