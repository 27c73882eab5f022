"""How fast a submission is beside the reference. A figure for advisory tests: no point ever depends on it.

A machine that grades is shared and noisy, and no two are alike, so seconds would say little. Both run in workers of the
same kind on the same machine in turn, each round on an input of its own, so that no answer can be kept for the next,
and of each the fastest round counts. Who wants to can still move the figure: the time is that of the whole answer, and
a worker may keep the machine busy while the other one works.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

from autograder.judge.proxies import Submission
from autograder.judge.trial import current_trial

T = TypeVar("T")
ROUNDS = 3


def race(prepare: Callable[[Any], Callable[[int], T]], submission: Submission) -> tuple[list[T], list[T]]:
    """Time a task on `submission` and on the reference; what each answered in each round, for the test to compare.

    `prepare(solution)` makes the task ready and returns it; only `task(round)` is timed. The test's `figure` is how
    many times as long as the reference the submission took: below 1 it is faster.
    """
    trial = current_trial()
    if trial.reference is None:
        raise RuntimeError("nothing to race against: the reference is not here")
    with contextlib.closing(trial.reference()) as session:
        tasks = [prepare(submission), prepare(Submission(session))]
        seconds: list[list[float]] = [[], []]
        answers: list[list[Any]] = [[], []]
        for number in range(ROUNDS):
            for runner, task in enumerate(tasks):
                started = time.perf_counter()
                answers[runner].append(task(number))
                seconds[runner].append(time.perf_counter() - started)
    theirs, ours = map(min, seconds)
    trial.figure = round(theirs / ours, 2)
    return answers[0], answers[1]
