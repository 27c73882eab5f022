"""fit_kaplan."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.judge.suite import reference
from autograder.suites.scaling.strategies import (
    KAPLAN_FIELDS,
    huber,
    kaplan,
    kaplan_laws,
    ladders,
    normal,
    read,
)

NAME = "fit_kaplan"


@part(NAME, points=2)
@settings(max_examples=6)
@given(kaplan_laws(), ladders())
def test_kaplans_law_is_given_back(scaling, values, runs):
    """Losses that Kaplan's law makes are predicted to one part in 10,000, also for ten times the parameters."""
    N, D = runs
    found = read(scaling.fit_kaplan(N, D, kaplan(N, D, values)), KAPLAN_FIELDS)
    checks.close(kaplan(N, D, found), kaplan(N, D, values), rtol=1e-4)
    checks.close(kaplan(10 * N, 10 * D, found), kaplan(10 * N, 10 * D, values), rtol=1e-3)


@part(NAME, points=2)
@settings(max_examples=3)
@given(kaplan_laws(), ladders(), st.sampled_from([0.003, 0.02]), draws.seeds())
def test_kaplans_fit_is_the_best(scaling, values, runs, noise, seed):
    """With noise the sum of huber is within a thousandth of the smallest that can be reached."""
    N, D = runs
    L = kaplan(N, D, values) * (noise * normal(len(N), seed)).exp()
    L[0] = L[0] * 1.3
    for delta in (1e-3, 0.1):
        fit = reference("scaling").fit_kaplan(N, D, L, delta=delta)
        best = tuple(getattr(fit, name) for name in KAPLAN_FIELDS)
        # With noise like this the smallest may lie at infinity, where one exponent is 0: no law, and nobody's mistake.
        assume(all(0.5 < found / true < 2 for found, true in zip(best[2:], values[2:], strict=True)))
        reached = huber(kaplan(N, D, read(scaling.fit_kaplan(N, D, L, delta=delta), KAPLAN_FIELDS)), L, delta)
        smallest = huber(kaplan(N, D, best), L, delta)
        checks.holds(reached <= smallest * 1.001 + 1e-10, "the objective is the smallest", reached, smallest)
