"""Grading again after a suite was mended: only parts whose hash has changed run, and nothing is replaced unseen.

New records wait in `OUT/pending/` until they are shown and accepted. An old record stays where it is; of one attempt
the newer counts. What people decided by hand is in the roster or in nbgrader's manual scores, which no grading touches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from autograder import batch, executors
from autograder.course import Assignment, Course
from autograder.intake import Submission
from autograder.job import Job
from autograder.outcome import TestOutcome
from autograder.records import PartResult, Record, Store, suite_hashes
from autograder.reports.summary import newest
from autograder.suitefiles import hidden_tests


class Change(msgspec.Struct, frozen=True):
    """A record that would replace another."""

    old: Record
    new: Record
    ran: tuple[str, ...]  # parts

    @property
    def parts(self) -> list[tuple[PartResult, PartResult]]:
        """The parts whose points changed, as they were and as they are."""
        before = {part.name: part for part in self.old.parts}
        return [
            (before.get(part.name, msgspec.structs.replace(part, points=0, earned=0)), part)
            for part in self.new.parts
            if part.name not in before or before[part.name].earned != part.earned
        ]


def changed_parts(assignment: Assignment, record: Record) -> list[str]:
    """The parts to run: those with another hash than the record's, and those that need one of them."""
    now = suite_hashes(assignment)
    changed = {name for name, value in now.items() if record.suite_parts.get(name) != value}
    for part in assignment.parts:  # a part comes after what it needs
        if changed & set(part.requires):
            changed.add(part.name)
    return [part.name for part in assignment.parts if part.name in changed]


def run(
    course: Course, records: Iterable[Record], out: Path, options: Callable[[Record], batch.Options],
    tell: Callable[[Change], None],
) -> list[Change]:  # fmt: skip
    """Grade what has changed into `OUT/pending/`. `options` gives how a record was graded; the key must be its own."""
    current, _ = newest(records)
    pending = Store(out / "pending")
    changes: list[Change] = []
    for name in dict.fromkeys(record.assignment for record in current):
        assignment = course.assignment(name)
        stale = [
            (record, ran)
            for record in current
            if record.assignment == name and not record.problem and not record.grader_error
            and (ran := changed_parts(assignment, record))
        ]  # fmt: skip
        for record, ran in stale:
            settings = options(record)
            one = batch.Batch(course, assignment, [_submission(record)], pending, settings)
            (identity,) = one.submissions
            new = pending.find(identity)
            if new is None or new.grader_error or new.graded_at < record.graded_at:  # an older one would not count
                new = _graded(one, identity, assignment, record, ran, settings)
            changes.append(Change(record, new, tuple(ran)))
            tell(changes[-1])
    return changes


def _submission(record: Record) -> Submission:
    return Submission(record.student, record.source.encode(), record.origin, notes=record.notes, attempt=record.attempt)


def _graded(
    one: batch.Batch, identity: str, assignment: Assignment, old: Record, ran: list[str], options: batch.Options
) -> Record:
    """The new record: tests of changed parts as they come out now, the others as they were."""
    tests = [test for path in sorted(assignment.suite.glob("test_*.py")) for test in hidden_tests(path)]
    only = tuple(test.name for test in tests if test.part in ran)
    job = Job(
        assignment.name, old.source.encode(), options.key.seed(assignment.name, old.digest),
        course=options.course_folder, only=() if len(ran) == len(assignment.parts) else only,
    )  # fmt: skip
    settings = executors.LaneSettings(options.level, assignment.runtime, options.isolation, options.device)
    patience = 4 * assignment.limits.submission_seconds + 120
    (end,) = [event for event in executors.run([executors.Task(identity, job)], settings, 1, patience) if event.done]
    kept = [test for test in (*old.tests, *old.advisory) if test.part not in ran]
    fresh = [test for test in end.outcomes if test.part in ran]
    order = {test.name: place for place, test in enumerate(tests)}
    outcomes = sorted([*kept, *fresh], key=lambda test: order.get(test.test, len(order)))
    if only and len(ran) < len(assignment.parts):
        outcomes = _skipping(assignment, outcomes, ran)
    return one.write(identity, tuple(outcomes), end.seconds, end.grader_error)


def _skipping(assignment: Assignment, outcomes: list[TestOutcome], ran: list[str]) -> list[TestOutcome]:
    """A test that is named runs whatever its part needs; here it is skipped as it would be in a whole run."""
    failed = {test.part for test in outcomes if test.status not in ("passed", "skipped")}
    for part in assignment.parts:
        missing = [name for name in part.requires if name in failed]
        if part.name in ran and missing:
            failed.discard(part.name)
            reason = f"needs {' and '.join(missing)}, which failed"
            outcomes = [
                _skipped(test, reason) if test.part == part.name and not test.reason.startswith("importing ") else test
                for test in outcomes
            ]
    return outcomes


def _skipped(test: TestOutcome, reason: str) -> TestOutcome:
    return TestOutcome(
        test.test, test.part, test.points, test.kind, status="skipped", sentence=test.sentence, reason=reason
    )


def accept(out: Path, changes: Iterable[Change]) -> int:
    """Move the new records of these changes among the others; how many they were.

    A grader's failure never replaces a grade: it stays where it is and is tried again. Whatever else waits is of a
    suite that is no more and goes: nobody was shown it, and as the newest it would count.
    """
    store, pending = Store(out), Store(out / "pending")
    shown = {change.new.id: change.new for change in changes}
    for path in pending.folder.glob("*.json"):
        if path.stem not in shown:
            path.unlink()
    accepted = [name for name, record in shown.items() if not record.grader_error]
    for name in accepted:
        os.replace(pending.path(name), store.path(name))
    return len(accepted)
