"""predict_loss and kaplan_loss."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.scaling.strategies import (
    EPOCH,
    FIELDS,
    a_ladder,
    chinchilla,
    kaplan,
    kaplan_laws,
    laws,
)

NAME = "loss_laws"


@st.composite
def sizes_and_tokens(draw, dtypes=None):
    """N and D of shapes that are broadcast, sometimes without a dimension."""
    dtype = draw(draws.float_dtypes() if dtypes is None else dtypes)
    N, D = a_ladder(6, draw(draws.seeds()))
    shapes = draw(st.sampled_from([((), ()), ((6,), (6,)), ((6, 1), (6,)), ((2, 3), (3,)), ((), (2, 3))]))
    return tuple(x[: torch.Size(shape).numel()].reshape(shape).to(dtype) for x, shape in zip((N, D), shapes))


@part(NAME, points=2)
@given(sizes_and_tokens(), laws())
def test_three_terms_are_added(scaling, sizes, values):
    """The loss is E + A / N^alpha + B / D^beta: E at N and D without end, and more with less of either."""
    N, D = sizes
    fit = scaling.ScalingFit(*values)
    checks.agrees(scaling.predict_loss(N, D, fit), lambda N, D: chinchilla(N, D, values), N, D)


@part(NAME, points=1)
@settings(max_examples=20)
@given(sizes_and_tokens(st.just(torch.float64)), laws())
def test_infinite_models_and_data_leave_their_own_terms(scaling, sizes, values):
    """With N without end the loss is E + B / D^beta, with D without end E + A / N^alpha, with both it is E."""
    N, D = sizes
    A, B, E, alpha, beta = values
    fit = scaling.ScalingFit(*values)
    endless = torch.tensor(1e300, dtype=torch.float64)
    checks.close(scaling.predict_loss(endless, D, fit), E + B / D**beta)
    checks.close(scaling.predict_loss(N, endless, fit), E + A / N**alpha)
    checks.close(scaling.predict_loss(endless, endless, fit), torch.tensor(E, dtype=torch.float64))


@part(NAME, points=1)
@settings(max_examples=20)
@given(st.integers(1, 4), draws.seeds(), st.booleans())
def test_many_laws_at_once(scaling, n_fits, seed, column):
    """Where the fields are tensors, they are broadcast against N and D: many laws, or many laws at many sizes."""
    moved = [value * (1 + 0.1 * torch.rand(n_fits, generator=torch.Generator().manual_seed(seed + i)).double())
             for i, value in enumerate(EPOCH)]  # fmt: skip
    N, D = a_ladder(3 if column else 1, seed)
    if column:
        N, D = N[:, None], D[:, None]
    fit = scaling.ScalingFit(**dict(zip(FIELDS, moved, strict=True)))
    checks.close(scaling.predict_loss(N, D, fit), chinchilla(N, D, tuple(moved)))


@part(NAME, points=2)
@given(sizes_and_tokens(), kaplan_laws())
def test_kaplans_terms_share_an_exponent(scaling, sizes, values):
    """Kaplan's joint law is ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D."""
    N, D = sizes
    fit = scaling.KaplanFit(*values)
    checks.agrees(scaling.kaplan_loss(N, D, fit), lambda N, D: kaplan(N, D, values), N, D)


@part(NAME, points=1)
@settings(max_examples=20)
@given(sizes_and_tokens(st.just(torch.float64)), kaplan_laws())
def test_kaplans_law_becomes_two_power_laws(scaling, sizes, values):
    """With D without end Kaplan's law is (N_c / N)^alpha_N, with N without end (D_c / D)^alpha_D."""
    N, D = sizes
    N_c, D_c, alpha_N, alpha_D = values
    fit = scaling.KaplanFit(*values)
    endless = torch.tensor(1e300, dtype=torch.float64)
    checks.close(scaling.kaplan_loss(N, endless, fit), (N_c / N) ** alpha_N)
    checks.close(scaling.kaplan_loss(endless, D, fit), (D_c / D) ** alpha_D, rtol=1e-7)


@part(NAME, points=1)
@settings(max_examples=20)
@given(sizes_and_tokens(st.just(torch.float64)), laws(), kaplan_laws())
def test_laws_leave_sizes_and_tokens_alone(scaling, sizes, values, of_kaplan):
    """Neither law changes N or D."""
    N, D = sizes
    loss, after, _ = scaling.echo(scaling.predict_loss, N, D, scaling.ScalingFit(*values))
    checks.close(loss, chinchilla(N, D, values))
    checks.equal(after[:2], [N, D])
    loss, after, _ = scaling.echo(scaling.kaplan_loss, N, D, scaling.KaplanFit(*of_kaplan))
    checks.close(loss, kaplan(N, D, of_kaplan), rtol=1e-8)
    checks.equal(after[:2], [N, D])
