"""A pile of submissions becomes one record each: looked up where it was graded before, graded where it was not.

Everything that decides a score is in a record's name, so running the same command again goes on where it was stopped,
and a killed run leaves whole records or none.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec

from autograder import executors, sandbox
from autograder.course import Assignment, Course
from autograder.intake import Submission
from autograder.job import Job
from autograder.outcome import TestOutcome
from autograder.records import Key, Record, Store, part_results, record_id, suite_hash, suite_hashes

VERSIONS = ("torch", "hypothesis")  # what draws and sums depend on


class Options(msgspec.Struct, frozen=True):
    """How to grade."""

    key: Key
    level: str
    jobs: int = 1
    isolation: executors.Isolation = "zygote"
    device: str = "cpu"
    regrade: bool = False
    course_folder: str = ""


class Progress(msgspec.Struct, frozen=True):
    """News for a progress bar: a test is over, or a submission is."""

    student: str
    outcome: TestOutcome | None = None
    record: Record | None = None
    known: bool = False  # the record was there already


class Batch:
    """One assignment, its submissions, and where their records go."""

    def __init__(
        self, course: Course, assignment: Assignment, submissions: Iterable[Submission], store: Store, options: Options
    ) -> None:
        self.course, self.assignment, self.store, self.options = course, assignment, store, options
        self.parts = suite_hashes(assignment)
        self.suite = suite_hash(self.parts)
        self.versions = {name: importlib.metadata.version(name) for name in VERSIONS}
        limits = msgspec.json.encode(assignment.limits).decode()
        self.submissions: dict[str, Submission] = {}
        self.attempts: dict[str, int] = {}
        seen: dict[str, int] = {}
        for submission in submissions:
            seen[submission.student] = seen.get(submission.student, 0) + 1
            attempt = submission.attempt or seen[submission.student]
            identity = record_id(
                assignment=assignment.name, student=submission.student, attempt=attempt, digest=submission.digest,
                suite=self.suite, key=options.key.id, limits=limits, device=options.device, level=options.level,
                versions=self.versions,
            )  # fmt: skip
            self.submissions[identity], self.attempts[identity] = submission, attempt

    def run(self, tell: Callable[[Progress], None]) -> list[Record]:
        """Grade what has no record yet; every submission's record, in the order in which they were handed in."""
        records: dict[str, Record] = {}
        tasks = []
        for identity, submission in self.submissions.items():
            known = None if self.options.regrade else self.store.find(identity)
            if known is not None and not known.grader_error:
                records[identity] = known
                tell(Progress(submission.student, record=known, known=True))
            elif submission.source is None:
                records[identity] = self.write(identity, (), 0.0, "")
                tell(Progress(submission.student, record=records[identity]))
            else:
                seed = self.options.key.seed(self.assignment.name, submission.digest)
                job = Job(self.assignment.name, submission.source, seed, course=self.options.course_folder)
                tasks.append(executors.Task(identity, job))
        if tasks:
            settings = executors.LaneSettings(
                self.options.level, self.assignment.runtime, self.options.isolation, self.options.device
            )
            patience = 4 * self.assignment.limits.submission_seconds + 120
            for event in executors.run(tasks, settings, self.options.jobs, patience):
                name = event.task.name
                if event.outcome is not None:
                    tell(Progress(self.submissions[name].student, outcome=event.outcome))
                if event.done:
                    records[name] = self.write(name, event.outcomes, event.seconds, event.grader_error, event.flags)
                    tell(Progress(self.submissions[name].student, record=records[name]))
        return [records[identity] for identity in self.submissions]

    def write(
        self, identity: str, outcomes: tuple[TestOutcome, ...], seconds: float, error: str, flags: tuple[str, ...] = ()
    ) -> Record:
        """Put the record of one of the submissions together and into the store."""
        submission, options = self.submissions[identity], self.options
        scored = [outcome for outcome in outcomes if outcome.kind != "advisory"]
        parts = part_results(self.assignment, scored)
        record = Record(
            id=identity,
            course=self.course.id,
            assignment=self.assignment.name,
            student=submission.student,
            attempt=self.attempts[identity],
            origin=submission.origin,
            digest=submission.digest,
            problem=submission.problem,
            notes=(*submission.notes, *flags),
            score=sum(part.earned for part in parts),
            max_score=self.assignment.points,
            parts=parts,
            tests=tuple(self._with_replay(outcome, identity) for outcome in scored),
            advisory=tuple(outcome for outcome in outcomes if outcome.kind == "advisory"),
            suite=self.suite,
            suite_parts=self.parts,
            key=options.key.id,
            level=options.level,
            isolation=options.isolation,
            device=options.device,
            versions=self.versions,
            seconds=round(seconds, 3),
            graded_at=datetime.now(UTC).isoformat(timespec="seconds"),
            grader_error=error,
            source=(submission.source or b"").decode("utf-8", "replace"),
        )
        self.store.write(record)
        return record

    def _with_replay(self, outcome: TestOutcome, identity: str) -> TestOutcome:
        if outcome.status not in ("passed", "skipped"):
            outcome.replay = f"autograder replay {self.store.path(identity)} {outcome.test}"
        return outcome


def replay(course: Course, record: Record, test: str, options: Options) -> TestOutcome:
    """Run one test of a record again, with the draws that it had."""
    assignment = course.assignment(record.assignment)
    seed = options.key.seed(assignment.name, record.digest)
    source = record.source.encode()
    job = Job(assignment.name, source, seed, course=options.course_folder, only=(test,))
    settings = executors.LaneSettings(options.level, assignment.runtime, options.isolation, options.device)
    outcomes: list[TestOutcome] = []
    for event in executors.run(
        [executors.Task(test, job)], settings, 1, 4 * assignment.limits.submission_seconds + 120
    ):
        if event.grader_error:
            raise sandbox.SandboxError(f"the judge could not run {test}: {event.grader_error.strip().splitlines()[-1]}")
        outcomes += event.outcomes
    return outcomes[0]
