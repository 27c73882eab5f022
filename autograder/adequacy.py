"""The tests, tested: every planted bug is killed by the test named for it, and no valid solution loses a point.

Both run through the same worker boundary as a submission, under several course keys: a bug that only some draws notice
is a bug that some students get away with. A crash or an exception kills nothing, for
a student would have noticed it too; running out of memory does, where that is what a test is about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from autograder import executors
from autograder.course import Assignment
from autograder.job import Job
from autograder.outcome import TestOutcome
from autograder.records import Key
from autograder.suitefiles import hidden_tests
from autograder.suites import alternatives_of, bugs_of


def course_keys(n: int) -> tuple[Key, ...]:
    """The first n of the keys that suites are tested under, the same in every run."""
    return tuple(Key(f"adequacy under key {number}".encode()) for number in range(1, n + 1))


KEYS = course_keys(3)


class BugResult(msgspec.Struct):
    """A planted bug: under how many keys the test named for it killed it, and which tests of its part notice it."""

    name: str
    part: str
    killed_by: str
    hint: str
    keys: int = 0
    killed: int = 0
    why_not: str = ""
    noticed_by: list[str] = []
    passes_public: bool | None = None  # all public tests, or, without the matrix, those of its part


class ValidResult(msgspec.Struct):
    """A valid solution, and the tests that wrongly fail it."""

    name: str
    keys: int = 0
    kept: int = 0
    rejected_by: list[str] = []


class Adequacy(msgspec.Struct):
    """What an assignment's suite was found to be worth."""

    assignment: str
    bugs: list[BugResult]
    valid: list[ValidResult]
    tests: dict[str, str]  # test -> part
    faults: list[str]  # what makes the suite inadequate, one line each


def measure(
    assignment: Assignment,
    settings: executors.LaneSettings,
    *,
    jobs: int = 1,
    keys: Sequence[Key] = KEYS,
    matrix: bool = True,
    only: frozenset[str] = frozenset(),
    course_folder: str = "",
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Adequacy:
    """Run every planted bug and every valid solution, or those named in `only`.

    With `matrix` a bug also meets all tests of its part and all public tests under the first key; without it those
    public tests alone that are of its part, and only until a bug has passed them: half an hour of CI has room for more
    bugs, not for every exercise's public tests beside each.
    """
    reference = assignment.solution.read_text(encoding="utf-8")
    bugs = {bug.name: bug for bug in bugs_of(assignment) if not only or bug.name in only}
    valid = {"reference": reference.encode(), **{n: p.read_bytes() for n, p in alternatives_of(assignment).items()}}
    valid = {name: source for name, source in valid.items() if not only or name in only}
    tests = {test.name: test.part for path in sorted(assignment.suite.glob("test_*.py")) for test in hidden_tests(path)}
    faults = [
        f"{bug.name}: no hidden test is called {bug.killed_by}" for bug in bugs.values() if bug.killed_by not in tests
    ]
    public_tests: dict[str, list[str]] = {}
    for test in hidden_tests(assignment.public_tests):
        public_tests.setdefault(test.part, []).append(test.name)
    results = {bug.name: BugResult(bug.name, bug.part, bug.killed_by, bug.hint, noticed_by=[]) for bug in bugs.values()}
    kept = {name: ValidResult(name, rejected_by=[]) for name in valid}

    tasks, public = [], []
    for number, key in enumerate(keys):
        seed = key.seed(assignment.name, "adequacy")

        def task(
            kind: str, name: str, source: bytes, seed: bytes = seed, number: int = number, **more: object
        ) -> executors.Task:
            job = Job(assignment.name, source, seed, course=course_folder, diagnose=False, shrink=False, **more)  # type: ignore[arg-type]
            return executors.Task(f"{kind}\0{name}\0{number}", job)

        tasks += [task("valid", name, source) for name, source in valid.items()]
        for bug in bugs.values():
            source = bug.plant(reference).encode()
            named: tuple[str, ...] = (bug.killed_by,) if bug.killed_by in tests else ()
            if matrix and not number:
                named = tuple(test for test, part in tests.items() if part == bug.part or test == bug.killed_by)
            if not number and matrix:
                public.append(task("public", bug.name, source, suite="public"))
            elif not number and not only and bug.part in public_tests:
                public.append(task("public", bug.name, source, suite="public", only=tuple(public_tests[bug.part])))
            if named:
                tasks.append(task("bug", bug.name, source, only=named))

    tasks += public

    def needless(task: executors.Task) -> bool:
        kind, name, _ = task.name.split("\0")
        return kind == "public" and not matrix and _unseen(results, results[name].part)

    done = 0
    patience = 4 * assignment.limits.submission_seconds + 120
    for event in executors.run(tasks, settings, jobs, patience, unless=needless):
        if not event.done:
            continue
        done += 1
        tell(done, len(tasks))
        kind, name, _ = event.task.name.split("\0")
        if event.grader_error:
            faults.append(f"{name}: the judge failed: {event.grader_error.strip().splitlines()[-1]}")
        elif kind == "valid":
            _count_valid(kept[name], event.outcomes)
        elif kind == "public" and event.outcomes:
            results[name].passes_public = all(outcome.status == "passed" for outcome in event.outcomes)
        elif kind == "bug":
            _count_bug(results[name], event.outcomes)

    faults += [
        f"{r.name} survives {r.killed_by} under {r.keys - r.killed} of {r.keys} keys ({r.why_not})"
        for r in results.values()
        if r.killed < r.keys
    ]
    faults += [
        f"{v.name} is valid and fails {', '.join(sorted(set(v.rejected_by)))}" for v in kept.values() if v.kept < v.keys
    ]
    if not only:
        for part in assignment.parts:
            if not any(result.part == part.name for result in results.values()):
                faults.append(f"part {part.name} has no planted bug")
            elif not _unseen(results, part.name):
                faults.append(
                    f"part {part.name}: every planted bug fails a public test, so the hidden ones add nothing"
                )
    return Adequacy(assignment.name, list(results.values()), list(kept.values()), tests, faults)


def _unseen(results: dict[str, BugResult], part: str) -> bool:
    """Whether a bug of this part is known to pass the public tests that it met."""
    return any(result.passes_public for result in results.values() if result.part == part)


def _count_valid(result: ValidResult, outcomes: Sequence[TestOutcome]) -> None:
    # Of an advisory test only a wrong answer is news: a slow solution is as valid as another.
    kept = {"scored": ("passed",), "advisory": ("passed", "timeout", "skipped")}
    rejected = [
        f"{o.test} ({o.status}: {o.reason})"
        for o in outcomes
        if o.status not in kept["advisory" if o.kind == "advisory" else "scored"]
    ]
    result.keys += 1
    result.kept += not rejected
    result.rejected_by += rejected


def _count_bug(result: BugResult, outcomes: Sequence[TestOutcome]) -> None:
    result.keys += 1
    for outcome in outcomes:
        noticed = outcome.status == "out_of_memory" or (outcome.status == "failed" and not outcome.trace)
        if noticed and outcome.test not in result.noticed_by:
            result.noticed_by.append(outcome.test)
        if outcome.test == result.killed_by:
            result.killed += noticed
            if not noticed:
                result.why_not = f"{outcome.status} {outcome.reason}".strip()
