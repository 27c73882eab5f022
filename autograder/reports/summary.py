"""The numbers of a class, from its records: plain data that pages and tables show. Counts are of submissions."""

from __future__ import annotations

import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from autograder.outcome import TestOutcome
from autograder.records import PartResult, Record
from autograder.reports.failure import Mark

State = Literal["graded", "nothing", "error"]
CONTAINED = ("full", "landlock")  # levels at which a submission cannot reach what it is graded with

_SHAPE = re.compile(r"\([\d, ]*\)|\[[\d, ]*\]")
_NUMBER = re.compile(r"-?\d[\d.,]*")


class PartCount(msgspec.Struct, frozen=True):
    """How a part went over a class."""

    name: str
    title: str
    points: int
    full: int
    some: int
    none: int


class Misconception(msgspec.Struct, frozen=True):
    """A named mistake, and how many submissions make it."""

    hint: str
    count: int
    parts: list[PartResult]


class Overview(msgspec.Struct, frozen=True):
    """One assignment over a class. `bins` counts scores by tenths of the points; the eleventh is full marks."""

    name: str
    submissions: int
    graded: int
    mean: float
    median: float
    points: int
    bins: list[int]
    parts: list[PartCount]
    misconceptions: list[Misconception]


class Case(msgspec.Struct, frozen=True):
    """One submission in a group: the first of its tests that belongs there."""

    record: Record
    test: TestOutcome


class Group(msgspec.Struct, frozen=True):
    """Submissions that lost points in a part in the same way. `title` is the named mistake, else the reason."""

    title: str
    named: bool
    status: str
    cases: list[Case]
    sentences: list[tuple[str, int]]


class Lost(msgspec.Struct, frozen=True):
    """Points that one submission lost for one reason: the first test that shows it, and the others with the same."""

    test: TestOutcome
    others: list[TestOutcome]

    @property
    def points(self) -> int:
        return sum(test.points - test.earned for test in (self.test, *self.others))


class Stamp(msgspec.Struct, frozen=True):
    """Under what a record was made."""

    level: str
    isolation: str
    device: str
    key: str
    versions: str

    @property
    def contained(self) -> bool:
        return self.level in CONTAINED

    @property
    def demo_key(self) -> bool:
        return self.key == "demo"


def page_name(record: Record) -> str:
    """A file name with nothing of the student's in it."""
    return _name("student", record.id)


def part_page_name(assignment: str, part: str) -> str:
    return _name("part", assignment, part)


def _name(*words: str) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()[:24]


def newest(records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """The last record of each submission, and the older ones: an attempt graded again has two."""
    ordered = sorted(records, key=lambda r: (r.assignment, r.student, r.attempt, r.graded_at, r.id))
    last = {(record.assignment, record.student, record.attempt): record for record in ordered}
    chosen = {id(record) for record in last.values()}
    return list(last.values()), [record for record in ordered if id(record) not in chosen]


def state(record: Record) -> State:
    """Graded, nothing to grade, or not graded because of the grader itself."""
    return "error" if record.grader_error else "nothing" if record.problem or not record.tests else "graded"


def mark(part: PartResult) -> Mark:
    """How a part of a graded record went, at a glance."""
    if part.status == "error":
        return "error"
    if part.earned == part.points:
        return "full" if part.points or part.status == "passed" else "none"
    return "some" if part.earned else "skipped" if part.status == "skipped" else "none"


def whole(record: Record) -> int:
    """How many parts have all their points."""
    return sum(mark(part) == "full" for part in record.parts)


def failures(record: Record) -> list[TestOutcome]:
    """What did not pass, what is only skipped last."""
    lost = [test for test in record.tests if test.status != "passed"]
    return sorted(lost, key=lambda test: test.status == "skipped")


def first_reason(record: Record) -> str:
    """One line: why this record is not what it could be; "" for full marks."""
    if record.grader_error or record.problem:
        return record.grader_error or record.problem
    first = next(iter(failures(record)), None)
    return "" if first is None else first.hint or first.reason


def losses(record: Record) -> list[Lost]:
    """The lost points, with tests together that failed for one reason and have no value of their own to show."""
    grouped: dict[tuple[str, ...], list[TestOutcome]] = {}
    for test in failures(record):
        alone = test.test if test.returned or test.status == "error" else ""
        where = test.part if test.calls else ""
        grouped.setdefault((where, test.status, test.reason, test.hint, alone), []).append(test)
    return [Lost(tests[0], tests[1:]) for tests in grouped.values()]


def stamp(record: Record) -> Stamp:
    versions = " ".join(f"{name} {version}" for name, version in sorted(record.versions.items(), reverse=True))
    return Stamp(record.level, record.isolation, record.device, record.key, versions)


def overview(name: str, records: list[Record]) -> Overview:
    """One assignment over its records."""
    graded = [record for record in records if state(record) == "graded"]
    scores = [record.score for record in graded]
    bins = [0] * 11
    for record in graded:
        bins[min(10, 10 * record.score // record.max_score) if record.max_score else 10] += 1
    return Overview(
        name=name,
        submissions=len(records),
        graded=len(graded),
        mean=statistics.fmean(scores) if scores else 0.0,
        median=statistics.median(scores) if scores else 0.0,
        points=max((record.max_score for record in records), default=0),
        bins=bins,
        parts=_parts(graded),
        misconceptions=_misconceptions(graded),
    )


def _parts(graded: list[Record]) -> list[PartCount]:
    seen: dict[str, PartResult] = {}
    marks: dict[str, Counter[Mark]] = {}
    for record in graded:
        for part in record.parts:
            seen.setdefault(part.name, part)
            marks.setdefault(part.name, Counter())[mark(part)] += 1
    return [
        PartCount(name, part.title, part.points, n["full"], n["some"], n["none"] + n["skipped"] + n["error"])
        for name, part in seen.items()
        for n in [marks[name]]
    ]


def _misconceptions(graded: list[Record]) -> list[Misconception]:
    counts: Counter[str] = Counter()
    parts: dict[str, dict[str, PartResult]] = {}
    for record in graded:
        own = {part.name: part for part in record.parts}
        for hint in sorted({test.hint for test in record.tests if test.hint}):
            counts[hint] += 1
            for test in record.tests:
                if test.hint == hint and test.part in own:
                    parts.setdefault(hint, {})[test.part] = own[test.part]
    return [Misconception(hint, count, list(parts.get(hint, {}).values())) for hint, count in counts.most_common()]


def groups(part: str, records: list[Record]) -> list[Group]:
    """How a part failed over a class, the commonest first: named mistakes, then reasons, then what was skipped."""
    cases: dict[tuple[str, bool, str], dict[str, Case]] = {}
    sentences: dict[tuple[str, bool, str], Counter[str]] = {}
    for record in records:
        for test in record.tests:
            if test.part == part and test.status != "passed":
                key = (test.hint or _general(test.reason), bool(test.hint), test.status)
                cases.setdefault(key, {}).setdefault(record.id, Case(record, test))
                sentences.setdefault(key, Counter())[test.sentence] += 1
    found = [
        Group(title, named, status, list(own.values()), sentences[title, named, status].most_common())
        for (title, named, status), own in cases.items()
    ]
    return sorted(found, key=lambda g: (g.status == "skipped", not g.named, -len(g.cases)))


def _general(reason: str) -> str:
    """A reason without the sizes and numbers of one example, so that equal failures meet."""
    return _NUMBER.sub("…", _SHAPE.sub("(…)", reason))


def properties(part: str, records: list[Record]) -> list[tuple[str, int, int, int]]:
    """Each property of a part: its sentence, its points, how many submissions it held for, of how many."""
    held: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    tests: dict[str, TestOutcome] = {}
    for record in records:
        for test in record.tests:
            if test.part == part:
                tests.setdefault(test.test, test)
                tried[test.test] += 1
                held[test.test] += test.status == "passed"
    return [(test.sentence, test.points, held[name], tried[name]) for name, test in tests.items()]
