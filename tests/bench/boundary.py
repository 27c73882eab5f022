"""What the boundary costs: a worker's start, a round trip, and a whole suite beside the same suite in one process.

    python tests/bench/boundary.py [ASSIGNMENT] [--quick]

Ratios are of interleaved runs, so a busy machine disturbs both sides alike.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from autograder import sandbox
from autograder.course import Limits, open_course
from autograder.judge.connect import SandboxConnection
from autograder.judge.grading import Connect, Plan, grade
from autograder.judge.proxies import Submission
from autograder.judge.session import LocalConnection, Session

ECHO = b"def same(x):\n    return x\n"


def starts(forker: sandbox.Forker, count: int) -> list[float]:
    """Milliseconds from asking for a worker to a locked-down one that reads."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        worker = forker.worker(sandbox.Limits())
        times.append(1000 * (time.perf_counter() - started))
        worker.stop()
    return times


def round_trips(forker: sandbox.Forker, count: int) -> list[float]:
    """Milliseconds of a call that sends and returns four floats."""
    session = Session(SandboxConnection(forker, Limits()), "echo", ECHO, Limits())
    same, x, times = Submission(session).same, torch.zeros(4), []
    for _ in range(count):
        started = time.perf_counter()
        same(x)
        times.append(1000 * (time.perf_counter() - started))
    session.close()
    return times


def suite_seconds(plan_for: Connect, name: str) -> float:
    assignment = open_course().assignment(name)
    started = time.perf_counter()
    outcomes = grade(Plan(assignment, assignment.solution.read_bytes(), plan_for, seed=b"bench"))
    assert {outcome.status for outcome in outcomes} == {"passed"}
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assignment", nargs="?", default="attention")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    level = sandbox.probe().best
    count, rounds = (20, 1) if options.quick else (100, 3)
    with sandbox.start(level, open_course().assignment(options.assignment).runtime) as zygote:
        forker = sandbox.attach(zygote.fileno())
        ready = sorted(starts(forker, count))
        p90 = ready[int(0.9 * count)]
        print(f"level {level}: a worker is ready after {statistics.median(ready):.1f} ms (p90 {p90:.1f})")
        print(f"a call with four floats: {statistics.median(round_trips(forker, 10 * count)):.3f} ms (median)")
        ratios = []
        for _ in range(rounds):
            inside = suite_seconds(lambda limits: SandboxConnection(forker, limits), options.assignment)
            beside = suite_seconds(lambda limits: LocalConnection(), options.assignment)
            ratios.append(inside / beside)
            print(f"suite of {options.assignment}: {inside:.1f} s sandboxed, {beside:.1f} s in one process")
        print(f"ratio {statistics.median(ratios):.2f} (median of {rounds})")


if __name__ == "__main__":
    main()
