"""Public tests of `scaling`: examples of the handout and simple properties, for `autograder check scaling`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, TorchSeed, Wrong, checks, draws, part

LAW = (400.0, 2000.0, 1.8, 0.34, 0.37)  # A, B, E, alpha, beta
MEANS = Given("statistics.means")


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def chinchilla(N, D, values=LAW):
    """E + A / N^alpha + B / D^beta."""
    A, B, E, alpha, beta = values
    return E + A / N**alpha + B / D**beta


def ladder(seed: int, n: int = 25) -> tuple[torch.Tensor, torch.Tensor]:
    """N and D of n runs, over three decades each."""
    spread = torch.rand(2, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 10 ** (6 + 3 * spread[0]), 10 ** (8 + 3 * spread[1])


def fields(fit) -> tuple[float, ...]:
    """The five numbers of a returned ScalingFit."""
    values = tuple(getattr(fit, name) for name in ("A", "B", "E", "alpha", "beta"))
    checks.holds(all(isinstance(value, float) for value in values), "the fields of the fit are floats", values)
    return values


# --- training_compute


@part("training_compute")
def test_counts_of_the_handout(scaling):
    """Two layers of width 8 have 1536 weights; a token costs 3584 FLOPs in a context of 16; training costs 6 N D."""
    checks.equal(scaling.non_embedding_params(2, 8), 1536)
    checks.equal(scaling.non_embedding_params(1, 8, d_ff=8), 384)
    checks.equal(scaling.forward_flops(2, 8, 16), 3584)
    checks.close(scaling.train_flops(1e9, 2e10), 1.2e20)


@part("training_compute")
@given(st.integers(1, 9), st.integers(1, 9))
def test_twice_as_deep_is_twice_as_large(scaling, n_layers, d_model):
    """Twice the layers have twice the weights; twice the width has four times as many."""
    weights = scaling.non_embedding_params(n_layers, d_model)
    checks.equal(weights, 12 * n_layers * d_model**2)
    checks.equal(scaling.non_embedding_params(n_layers, 2 * d_model), 4 * weights)


# --- loss_laws


@part("loss_laws")
def test_laws_of_the_handout(scaling):
    """E + 4 / 16^0.5 + 9 / 81^0.5 is 3 with E = 1, and Kaplan's example is the root of 6."""
    fit = scaling.ScalingFit(A=4.0, B=9.0, E=1.0, alpha=0.5, beta=0.5)
    checks.close(scaling.predict_loss(numbers(16.0), numbers(81.0), fit), numbers(3.0))
    fit = scaling.KaplanFit(N_c=16.0, D_c=4.0, alpha_N=0.5, alpha_D=0.5)
    checks.close(scaling.kaplan_loss(numbers(4.0), numbers(2.0), fit), numbers(math.sqrt(6.0)))


@part("loss_laws")
@given(draws.seeds())
def test_each_coefficient_has_its_own_exponent(scaling, seed):
    """The loss is E + A / N^alpha + B / D^beta where all five numbers differ."""
    N, D = ladder(seed, 3)
    checks.close(scaling.predict_loss(N, D, scaling.ScalingFit(*LAW)), chinchilla(N, D))


# --- fit_power_law


@part("fit_power_law")
@given(st.sampled_from([0.5, 2.0, 30.0]), st.sampled_from([-0.5, 0.0, 1.0]))
def test_points_on_a_power_law(scaling, coefficient, exponent):
    """Points on coefficient * x^exponent give both numbers back."""
    x = numbers(1.0, 10.0, 1000.0)
    checks.close(scaling.fit_power_law(x, coefficient * x**exponent), (coefficient, exponent), rtol=1e-7, atol=1e-9)


@part("fit_power_law")
def test_a_line_between_points(scaling):
    """Through (1, 1), (e, e) and (e^2, 1) goes the flat line log y = 1/3: coefficient e^(1/3), exponent 0."""
    x, y = numbers(1.0, math.e, math.e**2), numbers(1.0, math.e, 1.0)
    checks.close(scaling.fit_power_law(x, y), (math.exp(1 / 3), 0.0), rtol=1e-7, atol=1e-9)


# --- chinchilla_log_loss and huber_lse_objective


@part("chinchilla_log_loss")
def test_three_equal_terms(scaling):
    """With a = b = e = 0 and N = D = 1 each term is 1: the log loss is log 3, and each contributes a third."""
    log_loss, jacobian = scaling.chinchilla_log_loss(numbers(0.0, 0.0, 0.0, 1.0, 1.0), numbers(1.0), numbers(1.0))
    checks.close(log_loss, numbers(math.log(3.0)))
    checks.close(jacobian, numbers(1 / 3, 1 / 3, 1 / 3, 0.0, 0.0)[None], atol=1e-12)


@part("chinchilla_log_loss")
@given(draws.seeds())
def test_log_loss_is_the_log_of_the_loss(scaling, seed):
    """With a = log A, b = log B and e = log E it is the logarithm of predict_loss, for a batch of two as well."""
    N, D = ladder(seed, 4)
    theta = numbers(math.log(LAW[0]), math.log(LAW[1]), math.log(LAW[2]), *LAW[3:])
    both = torch.stack([theta, theta + numbers(0.0, 0.0, 1.0, 0.0, 0.0)])
    expected = torch.stack([chinchilla(N, D).log(), chinchilla(N, D, (*LAW[:2], LAW[2] * math.e, *LAW[3:])).log()])
    log_loss, jacobian = scaling.chinchilla_log_loss(both, N, D)
    checks.close(log_loss, expected)
    checks.tensor(jacobian, shape=(2, 4, 5), dtype=torch.float64)


@part("huber_lse_objective")
def test_objective_of_the_handout(scaling):
    """A residual of 1 with delta 0.5 costs 0.5 * (1 - 0.25) = 0.375, and pulls with 0.5."""
    arguments = numbers(0.0, 0.0, 0.0, 1.0, 1.0), numbers(1.0), numbers(1.0), numbers(3 / math.e)
    value, gradient = scaling.huber_lse_objective(*arguments, delta=0.5)
    checks.close(value, torch.tensor(0.375, dtype=torch.float64))
    checks.close(gradient, 0.5 * numbers(1 / 3, 1 / 3, 1 / 3, 0.0, 0.0), atol=1e-12)


@part("huber_lse_objective")
@given(draws.seeds(), st.sampled_from([1e-3, 0.1]))
def test_objective_is_a_sum_of_huber(scaling, seed, delta):
    """The objective is torch's huber_loss with reduction="sum" between log predicted and log observed losses."""
    N, D = ladder(seed, 6)
    theta = numbers(math.log(LAW[0]), math.log(LAW[1]), math.log(LAW[2]), *LAW[3:])
    L = chinchilla(N, D) * (0.05 * torch.arange(-3, 3)).exp()
    value, _ = scaling.huber_lse_objective(theta, N, D, L, delta=delta)
    expected = F.huber_loss(chinchilla(N, D).log(), L.log(), reduction="sum", delta=delta)
    checks.close(value, expected, rtol=1e-7, atol=1e-15)


# --- the fits


@part("fit_chinchilla")
@settings(max_examples=3)
@given(draws.seeds())
def test_a_law_is_found_again(scaling, seed):
    """Losses that a law makes without noise are predicted to one part in 10,000."""
    N, D = ladder(seed)
    checks.close(chinchilla(N, D, fields(scaling.fit_chinchilla(N, D, chinchilla(N, D)))), chinchilla(N, D), rtol=1e-4)


@part("fit_chinchilla")
@settings(max_examples=3)
@given(draws.seeds())
def test_the_best_of_two_starts(scaling, seed):
    """From a start near the law and one far away, in either order, the law is found."""
    N, D = ladder(seed)
    near = numbers(math.log(LAW[0]), math.log(LAW[1]), math.log(LAW[2]), *LAW[3:]) * 1.02
    far = numbers(25.0, 0.0, -1.0, 0.0, 2.0)
    inits = torch.stack([near, far] if seed % 2 else [far, near])
    found = fields(scaling.fit_chinchilla(N, D, chinchilla(N, D), inits=inits))
    checks.close(chinchilla(N, D, found), chinchilla(N, D), rtol=1e-4)


@part("fit_kaplan")
@settings(max_examples=2)
@given(draws.seeds())
def test_kaplans_law_is_found_again(scaling, seed):
    """Losses that Kaplan's law makes without noise are predicted to one part in 10,000."""
    N, D = ladder(seed)
    L = ((3e9 / N) ** (0.15 / 0.12) + 5e12 / D) ** 0.12
    fit = scaling.fit_kaplan(N, D, L)
    predicted = ((fit.N_c / N) ** (fit.alpha_N / fit.alpha_D) + fit.D_c / D) ** fit.alpha_D
    checks.close(predicted, L, rtol=1e-4)


# --- compute_optimal


@part("compute_optimal")
def test_budgets_of_the_handout(scaling):
    """600 FLOPs are best spent on N = D = 10 where A = B and alpha = beta; the loss 1.5 of the handout costs 96."""
    N, D = scaling.compute_optimal(numbers(600.0), scaling.ScalingFit(A=1.0, B=1.0, E=1.0, alpha=0.5, beta=0.5))
    checks.close((N, D), (numbers(10.0), numbers(10.0)))
    fit = scaling.ScalingFit(A=1.0, B=1.0, E=1.0, alpha=1.0, beta=1.0)
    checks.close(scaling.budget_for_loss(numbers(1.5, 1.0), fit), numbers(96.0, math.inf))


@part("compute_optimal")
@given(st.floats(16, 26))
def test_other_splits_are_worse(scaling, log_C):
    """6 N D = C, and shifting 10 per cent either way makes the loss no lower."""
    C = numbers(10**log_C)
    N, D = scaling.compute_optimal(C, scaling.ScalingFit(*LAW))
    checks.close(6 * N * D, C, rtol=1e-8)
    chosen = chinchilla(N, D)
    for factor in (0.9, 1.1):
        other = chinchilla(factor * N, D / factor)
        checks.holds(bool(chosen <= other), "the split has the lowest loss", chosen, other)


# --- isoflop_optima


@part("isoflop_optima")
def test_parabola_of_the_handout(scaling):
    """Losses 3, 2, 3 at N = 1, e, e^2 are lowest at e, also with a 6 at e^3; budgets come in ascending order."""
    C = numbers(7.0, 7.0, 7.0, 7.0, 6.0, 6.0, 6.0)
    N, L = numbers(0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0).exp(), numbers(3.0, 2.0, 3.0, 6.0, 3.0, 2.0, 3.0)
    N[:4] *= 10
    checks.close(scaling.isoflop_optima(C, N, L), (numbers(6.0, 7.0), numbers(math.e, 10 * math.e)), rtol=1e-7)


# --- bootstraps


@part("bootstrap_ci")
def test_a_constant_has_no_spread(scaling):
    """Nine fours have the mean 4 in every resample; of 0 and 2 the mean is 0 to 2."""
    four = torch.tensor(4.0, dtype=torch.float64)
    checks.close(scaling.bootstrap_ci(MEANS, torch.full((9,), 4.0).double(), generator=TorchSeed(0)), (four, four))
    ends = scaling.bootstrap_ci(MEANS, numbers(0.0, 2.0), n_boot=500, generator=TorchSeed(0))
    checks.close(ends, (four - 4, four - 2))


@part("bootstrap_chinchilla")
@settings(max_examples=2)
@given(draws.seeds())
def test_twenty_fits_at_once(scaling, seed):
    """Of losses without noise all 20 resamples give the law."""
    N, D = ladder(seed)
    fits = scaling.bootstrap_chinchilla(N, D, chinchilla(N, D), scaling.ScalingFit(*LAW), 20, generator=TorchSeed(seed))
    values = tuple(getattr(fits, name) for name in ("A", "B", "E", "alpha", "beta"))
    for value in values:
        checks.tensor(value, shape=(20,), dtype=torch.float64)
    predicted = chinchilla(N[:1], D[:1], values)
    checks.close(predicted, chinchilla(N[:1], D[:1]).expand(20).clone(), rtol=1e-3)


# --- the curve of reinforcement learning


@part("sigmoid_curve")
def test_curve_of_the_handout(scaling):
    """At C = C_mid / 3 and B = 1 a quarter of the way is done: 0.1 + 0.8 / 4 = 0.3; half-way at C_mid."""
    returned = scaling.sigmoid_curve(numbers(10.0, 30.0), A=0.9, B=1.0, C_mid=30.0, R0=0.1)
    checks.close(returned, numbers(0.3, 0.5))


@part("forecast")
@settings(max_examples=3)
@given(st.floats(0.5, 0.9), st.floats(1.5, 3.0), st.booleans())
def test_a_curve_is_found_again(scaling, A, B, known):
    """Rewards that a curve makes give its A, with R0 known or not, and a forecast from a quarter of the compute."""
    C = torch.linspace(1.0, 100.0, 100, dtype=torch.float64)
    R = 0.1 + (A - 0.1) / (1 + (8.0 / C) ** B)
    fit = scaling.fit_sigmoid(C, R, R0=0.1 if known else None)
    checks.close(fit.A, A, rtol=1e-3)
    checks.close(scaling.forecast(C, R, C[-1:], R0=0.1 if known else None), R[-1:].clone(), rtol=0.0, atol=1e-3)


# --- named mistakes: what each would return


def _objective(theta, N, D, L, delta=1e-3, *, kind):
    a, b, e, alpha, beta = theta[..., None].unbind(-2)
    terms = torch.stack(torch.broadcast_tensors(a - alpha * N.log(), b - beta * D.log(), e))
    r, share = terms.logsumexp(0) - L.log(), terms.softmax(0)
    pull = r.clamp(-delta, delta)
    if kind == "squares":
        pull = r
    jacobian = torch.stack((share[0], share[1], share[2], -share[0] * N.log(), -share[1] * D.log()), -1)
    value, gradient = (pull * (r - pull / 2)).sum(-1), (pull[..., None] * jacobian).sum(-2)
    by = {"mean": len(N), "smooth_l1": delta}.get(kind, 1)
    return value / by, gradient / by


def _line(x, y, *, kind):
    log_x, log_y = x.double().log(), y.double().log()
    off = log_x - log_x.mean()
    exponent = float(off @ log_y / (off @ off))
    level = float(log_y.mean()) - exponent * float(log_x.mean())
    return (level, exponent) if kind == "log" else (math.exp(level), -exponent)


def _curve(C, A, B, C_mid, R0, *, kind):
    x = {"linear": (C - C_mid) / C_mid, "falls": (C_mid / C).log(), "top": (C / C_mid).log()}[kind]
    return R0 + (A if kind == "top" else A - R0) * torch.sigmoid(B * x)


def _vertex(C, N, L, *, kind):
    budgets, found = C.double().unique(), []
    for budget in budgets:
        x, y = N[budget == C].double(), L[budget == C].double()
        if kind == "lowest":
            found.append(x[y.argmin()])
            continue
        x = x.log()
        _, q, r = torch.linalg.lstsq(torch.stack([torch.ones_like(x), x, x**2], -1), y).solution
        found.append((-q / r).exp())
    return budgets, torch.stack(found)


WRONG = [
    Wrong("two_n_d", "train_flops", lambda N, D: 2 * N * D,
          "2 N D is the forward pass; the backward pass costs twice as much again, so training is 6 N D."),
    Wrong("no_output_matrix", "non_embedding_params",
          lambda n_layers, d_model, d_ff=None: n_layers * (3 * d_model**2 + 2 * d_model * (d_ff or 4 * d_model)),
          "Attention's output matrix is missing: it has four squares, not three."),
    Wrong("ignores_d_ff", "non_embedding_params", lambda n_layers, d_model, d_ff=None: 12 * n_layers * d_model**2,
          "`d_ff` is ignored: 12 n_layers d_model^2 holds only where d_ff is 4 d_model."),
    Wrong("attention_is_not_causal", "forward_flops",
          lambda n_layers, d_model, context_length, d_ff=None: (
              2 * n_layers * (4 * d_model**2 + 2 * d_model * (d_ff or 4 * d_model))
              + 4 * n_layers * context_length * d_model),
          "A token sees half of the context on average: attention costs 2 n_layers context_length d_model, not 4."),
    Wrong("log_coefficient", "fit_power_law", lambda x, y: _line(x, y, kind="log"),
          "The intercept is log(coefficient): exp is missing."),
    Wrong("exponent_with_the_wrong_sign", "fit_power_law", lambda x, y: _line(x, y, kind="sign"),
          "The exponent is that of y = coefficient * x^exponent; a falling law has a negative one."),
    Wrong("mean_of_huber", "huber_lse_objective",
          lambda theta, N, D, L, delta=1e-3: _objective(theta, N, D, L, delta, kind="mean"),
          "The objective is a SUM over runs: on a mean, solvers stop too early."),
    Wrong("smooth_l1", "huber_lse_objective",
          lambda theta, N, D, L, delta=1e-3: _objective(theta, N, D, L, delta, kind="smooth_l1"),
          "That is smooth_l1_loss, which is Huber's divided by delta."),
    Wrong("squares", "huber_lse_objective",
          lambda theta, N, D, L, delta=1e-3: _objective(theta, N, D, L, delta, kind="squares"),
          "Beyond delta the cost grows linearly; here it is a square throughout."),
    Wrong("lowest_run", "isoflop_optima", lambda C, N, L: _vertex(C, N, L, kind="lowest"),
          "The size with the lowest loss is returned; the optimum lies between the sizes that were tried."),
    Wrong("vertex_at_b_over_a", "isoflop_optima", lambda C, N, L: _vertex(C, N, L, kind="vertex"),
          "A parabola p + q x + r x^2 is lowest at -q / (2 r)."),
    Wrong("logistic_in_compute", "sigmoid_curve",
          lambda C, A, B, C_mid, R0: _curve(C, A, B, C_mid, R0, kind="linear"),
          "The curve is logistic in log C, not in C."),
    Wrong("falls_with_compute", "sigmoid_curve",
          lambda C, A, B, C_mid, R0: _curve(C, A, B, C_mid, R0, kind="falls"),
          "C_mid / C is upside down: the curve falls."),
    Wrong("rises_by_a", "sigmoid_curve",
          lambda C, A, B, C_mid, R0: _curve(C, A, B, C_mid, R0, kind="top"),
          "The curve rises from R0 to A, by A - R0; here it ends at A + R0."),
]  # fmt: skip
