"""How often hidden results are shown: tokens that are used up and grow back, as in Marmoset (Spacco et al., 2006).

A submission that uses a token sees its hidden results; one that finds none is graded and recorded all the same, and
sees them later. So trying at random costs days, while thinking first costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from autograder.course import FeedbackPolicy


class Allowance(msgspec.Struct, frozen=True):
    """Whether results may be shown now, how many tokens are then left, and when the next one has grown back."""

    shown: bool
    left: int
    next_at: datetime | None = None


def allowance(used: Iterable[datetime], now: datetime, policy: FeedbackPolicy) -> Allowance:
    """`used` are the times at which this student saw hidden results. Each token grows back on its own."""
    if not policy.tokens:
        return Allowance(True, 0)
    growing = sorted(
        time + timedelta(hours=policy.hours_per_token)
        for time in used
        if time + timedelta(hours=policy.hours_per_token) > now
    )
    left = policy.tokens - len(growing)
    if left > 0:
        return Allowance(True, left - 1, growing[0] if growing else now + timedelta(hours=policy.hours_per_token))
    return Allowance(False, 0, growing[len(growing) - policy.tokens])
