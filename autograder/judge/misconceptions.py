"""Naming a student's mistake without the hidden suite: the wrong formula that returns what their function did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograder.judge.session import Exchange
from autograder.judge.suite import Wrong
from autograder.judge.trial import Trial
from autograder.likeness import alike


def name(wrongs: Sequence[Wrong], trial: Trial) -> tuple[str, str]:
    """(hint, evidence) where exactly one wrong formula answers every call as the student's function did."""
    if trial.failure is None:
        return "", ""
    talks = [trial.failure.exchanges, *trial.failed, *trial.passed, *trial.fresh]
    fits: dict[str, int] = {}
    for wrong in wrongs:
        calls = [e for talk in talks for e in talk if _calls(e, wrong.function)]
        if any(_calls(e, wrong.function) for e in trial.failure.exchanges) and all(_same(wrong, e) for e in calls):
            fits[wrong.hint] = len(calls)
    if len(fits) != 1:
        return "", ""
    ((hint, count),) = fits.items()
    return (
        hint,
        f"That formula returns the same on {'this input' if count == 1 else f'all {count} inputs that were compared'}.",
    )


def _calls(exchange: Exchange, function: str) -> bool:
    return (
        exchange.action == "call" and getattr(exchange.target, "path", None) == function and exchange.target.handle < 0
    )


def _same(wrong: Wrong, exchange: Exchange) -> bool:
    try:
        result: Any = wrong.formula(*exchange.args, **exchange.kwargs)
    except Exception:
        return False
    return not exchange.error and alike(result, exchange.result)
