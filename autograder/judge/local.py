"""Grading without a boundary, for authors of suites on their own code: `python -m autograder.judge.local bpe [FILE]`.

`--bugs` also plants every bug and says which test noticed; `--key TEXT` draws other inputs; `--tests public` runs the
public tests. Scores that count never come from here.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from autograder.course import Assignment, open_course
from autograder.judge.grading import Plan, grade
from autograder.judge.session import LocalConnection
from autograder.outcome import TestOutcome


def run(assignment: Assignment, source: bytes, key: str, only: list[str], tests: str) -> list[TestOutcome]:
    plan = Plan(
        assignment, source, lambda limits: LocalConnection(), seed=key.encode(), suite=tests, only=only
    )  # fmt: skip
    return grade(plan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assignment")
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("-k", action="append", default=[], dest="only", metavar="TEST")
    parser.add_argument("--tests", choices=["hidden", "public"], default="hidden")
    parser.add_argument("--key", default="local")
    parser.add_argument("--bugs", action="store_true")
    parser.add_argument("--course", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    assignment = open_course(options.course).assignment(options.assignment)
    source = (options.file or assignment.solution).read_bytes()
    started = time.monotonic()
    for outcome in run(assignment, source, options.key, options.only, options.tests):
        print(f"{outcome.status:8} {outcome.seconds:6.2f} s  {outcome.points:2}  {outcome.part}: {outcome.test}")
        if outcome.status != "passed":
            print(f"    {outcome.sentence}\n    {outcome.reason}")
            for line in outcome.calls:
                print(f"    {line}")
            print(f"    returned {outcome.returned}\n    expected {outcome.expected}\n{outcome.message}")
            for step in outcome.trace:
                print(f"    line {step.line} in {step.function}: {step.text}")
    print(f"{time.monotonic() - started:.1f} s")
    if options.bugs:
        plant(assignment, options.key, options.only)


def plant(assignment: Assignment, key: str, only: list[str]) -> None:
    from autograder.suites import bugs_of

    killed = 0
    bugs = [bug for bug in bugs_of(assignment) if not only or bug.killed_by in only]
    for bug in bugs:
        source = bug.plant(assignment.solution.read_text()).encode()
        (outcome,) = run(assignment, source, key, [bug.killed_by], "hidden")
        dead = outcome.status == "failed" and not outcome.trace
        killed += dead
        verdict = "killed" if dead else f"SURVIVES {outcome.status}"
        print(f"{verdict:10} {bug.part}: {bug.name} by {bug.killed_by}: {outcome.reason}")
    print(f"{killed} of {len(bugs)} planted bugs killed")


if __name__ == "__main__":
    main()
