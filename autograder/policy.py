"""From records to what counts: which attempt, how late it was, what that costs, what a person decided.

Pure functions of records, the ledger's times, the course's policy and the roster. Records hold scores before any
policy and are never changed by it; a `Standing` holds both. The rules, in the order in which they apply:

1. An attempt is late when it was handed in more than `grace_minutes` after the student's own due date. Then it is late
   by whole days, begun ones counted, from the due date on (the grace is not a later due date).
2. Late days come out of the student's bank first, in the order of due dates, only for attempts that count. Each day
   beyond it takes `percent_per_day` of the score, all days together at most `cap_percent`.
3. An attempt in which nothing could be graded counts only where there is no other. Then it is worth 0; no score at
   all where that is not the student's doing.
4. `last`: the attempt handed in last counts. `best`: the one that is worth most after 2, of equals the one that costs
   fewer late days, then the earlier. `best_on_time`: the best of those that are not late; where all are, the best.
   Where a time is unknown, attempts are ordered by number.
5. A score in the roster replaces the result. An excused student has no score. Both hold without a submission too.

An attempt whose time nobody knows costs nothing; where an LMS marked it late all the same, the standing says that a
person must look.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from autograder.course import Course, Policy
from autograder.ledger import Entry
from autograder.records import Record, part_results
from autograder.roster import Roster, Rule

DAY = timedelta(days=1)
MISSING = "its folder is missing from the export"  # as lms/layouts.py says of Gradescope's


class Attempt(msgspec.Struct, frozen=True):
    """A graded attempt, and when it was handed in."""

    record: Record
    submitted_at: datetime | None = None
    marked_late: bool = False
    last_submitted_at: datetime | None = None  # where the same was handed in again, later
    again_after: int = 0  # where that was at a time nobody knows: how many attempts there were


class Standing(msgspec.Struct, frozen=True):
    """One student in one assignment. `final` is None where there is no score: excused, or nobody could grade it.

    Who has a score or an excuse in the roster and no record has a standing of 0 `attempts`; `counted` is then empty.
    """

    student: str
    assignment: str
    counted: Record
    attempts: int
    raw: int  # before policy
    points: int
    final: float | None
    days_late: int = 0
    late_days_used: int = 0
    penalty: float = 0.0
    excused: bool = False
    overridden: bool = False
    comment: str = ""
    question: str = ""  # what a person must look at
    submitted_at: datetime | None = None

    def in_words(self) -> str:
        """What was done to the score, in one line; "" where nothing was."""
        words = []
        if self.days_late:
            words.append(f"{self.days_late} day{'s' * (self.days_late > 1)} late")
        if self.late_days_used:
            words.append(f"{self.late_days_used} from the bank of late days")
        if self.penalty:
            words.append(f"{self.penalty:g} points taken off for lateness")
        if self.overridden:
            words.append(f"set by hand to {self.final:g}" if self.final is not None else "set by hand")
        if self.excused:
            words.append("excused")
        return ", ".join(words)


def days_late(submitted: datetime | None, due: datetime | None, grace_minutes: float) -> int:
    """Whole days after the due date, begun ones counted; 0 within the grace or where a time is unknown."""
    if submitted is None or due is None or submitted - due <= timedelta(minutes=grace_minutes):
        return 0
    return math.ceil((submitted - due) / DAY)


def penalty(score: float, days: int, policy: Policy) -> float:
    """Points that `days` late days which are not from the bank take off a score, to two decimals."""
    return round(score * min(days * policy.percent_per_day, policy.cap_percent, 100) / 100, 2)


def standings(
    course: Course, records: Iterable[Record], ledger: Mapping[tuple[str, str], list[Entry]], roster: Roster
) -> list[Standing]:
    """Every student's standing in every assignment with a record, or a score or an excuse in the roster, ordered by
    assignment and student."""
    grouped: dict[str, dict[str, dict[int, Record]]] = {}
    for record in sorted(records, key=lambda r: (r.graded_at, r.id)):  # of one attempt the latest record counts
        grouped.setdefault(record.student, {}).setdefault(record.assignment, {})[record.attempt] = record
    known = {name for assignments in grouped.values() for name in assignments} & {a.name for a in course.assignments}
    for student, name in _by_hand(roster, known):
        if name not in grouped.setdefault(student, {}):
            grouped[student][name] = {0: _nothing(course, student, name)}
    found = []
    for student, assignments in grouped.items():
        bank = course.policy.late_days
        dues = {name: roster.rule(student, name).due or course.due.get(name) for name in assignments}
        for name in sorted(assignments, key=lambda name: _when(dues[name], name, course)):
            entries = {entry.attempt: entry for entry in ledger.get((name, student), [])}
            attempts = [
                Attempt(record, e.submitted_at, e.late, e.last_submitted_at, e.again_after)
                if (e := entries.get(number))
                else Attempt(record)
                for number, record in sorted(assignments[name].items())
            ]
            standing = _standing(student, attempts, dues[name], bank, course.policy, roster.rule(student, name))
            bank -= standing.late_days_used
            found.append(standing)
    return sorted(found, key=lambda standing: (standing.assignment, standing.student))


def ungraded(records: Iterable[Record], ledger: Mapping[tuple[str, str], list[Entry]]) -> list[tuple[str, str, int]]:
    """Assignment, student and attempt of each newest attempt that has no record, as where grading was interrupted."""
    known = {(record.assignment, record.student, record.attempt) for record in records}
    newest = [(*whose, max(entry.attempt for entry in entries)) for whose, entries in sorted(ledger.items())]
    return [attempt for attempt in newest if attempt not in known]


def _by_hand(roster: Roster, names: set[str]) -> list[tuple[str, str]]:
    """Student and assignment of each score and excuse in the roster; one for all assignments is for each of `names`."""
    return [
        (student, name)
        for (student, own), rule in roster.rules.items()
        if rule.excused or rule.score is not None
        for name in ([own] if own else sorted(names))
    ]


def _nothing(course: Course, student: str, name: str) -> Record:
    """The record of a student who has none."""
    one = course.assignment(name)
    return Record(
        id="", course=course.id, assignment=name, student=student, attempt=0, origin="", digest="",
        problem="no submission was graded", notes=(), score=0, max_score=one.points, parts=part_results(one, []),
        tests=(), suite="", suite_parts={}, key="", level="", isolation="", device="", versions={}, seconds=0,
        graded_at="",
    )  # fmt: skip


def _when(due: datetime | None, name: str, course: Course) -> tuple[float, int]:
    order = [assignment.name for assignment in course.assignments]
    return (due.timestamp() if due else math.inf, order.index(name) if name in order else len(order))


class _Valued(msgspec.Struct, frozen=True):
    attempt: Attempt
    days: int
    banked: int
    taken: float

    @property
    def worth(self) -> float:
        return self.attempt.record.score - self.taken


def _standing(
    student: str, attempts: list[Attempt], due: datetime | None, bank: int, policy: Policy, rule: Rule
) -> Standing:
    valued = []
    for attempt in attempts:
        days = days_late(attempt.submitted_at, due, policy.grace_minutes)
        # A score of nothing needs no late day.
        banked = min(days, bank) if attempt.record.score and policy.percent_per_day else 0
        valued.append(_Valued(attempt, days, banked, penalty(attempt.record.score, days - banked, policy)))
    chosen = _counted(valued, policy)
    record = chosen.attempt.record
    final: float | None = round(chosen.worth, 2)
    question = ""
    if record.grader_error:
        final, question = None, "the grader could not do its work"
    elif record.problem == MISSING:
        final, question = None, f"{MISSING}: download that again, and grade it"
    else:
        question = "; ".join(_doubts(valued, chosen, policy))
    if rule.score is not None:
        final, question = rule.score, ""
    if rule.excused:
        final, question = None, ""
    return Standing(
        student=student, assignment=record.assignment, counted=record, attempts=len(attempts) if record.attempt else 0,
        raw=record.score, points=record.max_score, final=final, days_late=chosen.days,
        late_days_used=0 if rule.excused or rule.score is not None else chosen.banked,
        penalty=chosen.taken, excused=rule.excused, overridden=rule.score is not None and not rule.excused,
        comment=rule.comment, question=question, submitted_at=chosen.attempt.submitted_at,
    )  # fmt: skip


def _counted(valued: list[_Valued], policy: Policy) -> _Valued:
    """The attempt that counts. One in which nothing could be graded never goes before one that was graded."""
    graded = _graded(valued)
    if policy.counts == "last":
        return _last(graded)
    on_time = [v for v in graded if not v.days] if policy.counts == "best_on_time" else []
    timed = _timed(graded)
    return max(on_time or graded, key=lambda v: (v.worth, -v.banked, -_time(v) * timed, -v.attempt.record.attempt))


def _last(valued: list[_Valued]) -> _Valued:
    """The attempt handed in last, by its last time; by number where a time is unknown, which compares with none."""
    timed = _timed(valued)
    return max(valued, key=lambda v: (_time(v, last=True) * timed, v.attempt.record.attempt))


def _doubts(valued: list[_Valued], chosen: _Valued, policy: Policy) -> list[str]:
    """What a person must look at, though there is a score."""
    doubts, graded = [], _graded(valued)
    last, counts = _last(valued).attempt.record, f"attempt {chosen.attempt.record.attempt} counts"
    if last.problem and not chosen.attempt.record.problem:
        doubts.append(f"nothing could be graded in attempt {last.attempt} ({last.problem}): {counts}")
    again = [v.attempt.record.attempt for v in graded if v.attempt.again_after == len(valued) and v is not chosen]
    if policy.counts == "last" and again:
        doubts.append(f"attempt {again[-1]} came in again, at no known time, but {counts}: give times with --times")
    elif policy.counts == "last" and not _timed(graded) and any(v.attempt.submitted_at for v in graded):
        doubts.append(f"not every attempt has a time, so {counts}, by its number: give times with --times")
    if chosen.attempt.marked_late and chosen.attempt.submitted_at is None:
        doubts.append(
            "marked late by the LMS, which says no time: give its times with --times, or a score in the roster"
        )
    return doubts


def _graded(valued: list[_Valued]) -> list[_Valued]:
    """The attempts in which something could be graded; all where there is none."""
    return [v for v in valued if not v.attempt.record.problem] or valued


def _timed(valued: list[_Valued]) -> bool:
    return all(v.attempt.submitted_at for v in valued)


def _time(valued: _Valued, *, last: bool = False) -> float:
    attempt = valued.attempt
    at = (last and attempt.last_submitted_at) or attempt.submitted_at
    return at.timestamp() if at else 0.0
