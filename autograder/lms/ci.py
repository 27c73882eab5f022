"""One submission on each push, told to GitHub: annotations, the step's summary, the Classroom reporter's result.

Everything here returns text. What a submission made gets into a workflow command only through `escape.workflow`, which
leaves no line break, no second command and no `::` at the beginning of a line; the student's own output is never
printed at all, so there is no need for `stop-commands`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from autograder import throttle
from autograder.course import Course
from autograder.lms import feedback
from autograder.outcome import TestOutcome
from autograder.records import Record
from autograder.reports import source
from autograder.reports.escape import markdown, visible, workflow, workflow_property

MAX_ANNOTATIONS = 10  # of each kind that GitHub shows for a step
MAX_SUMMARY = 1024 * 1024 - 4096  # bytes
MAX_OUTPUT = 500  # characters of one test that the reporter keeps
MAX_MESSAGE = 1500


def error_commands(record: Record, file: str, detail: str) -> Iterator[str]:
    """A `::error` for each lost property, at the lines of the function that failed: the costliest first.

    A file that cannot be imported loses all of them for one reason, which is told once.
    """
    if record.problem:
        yield f"::error title={workflow_property('Nothing to grade')}::{workflow(record.problem)}"
    titles = {part.name: part.title for part in record.parts}
    lost = [test for test in record.tests if test.status not in ("passed", "skipped")]
    if lost and len({test.reason for test in lost}) == 1 and _not_imported(lost[0]):
        line = lost[0].trace[-1].line if lost[0].trace else 1
        points = f"{sum(test.points for test in lost)} points"
        text = points if detail == "scores" else f"{visible(lost[0].reason)}\nThat takes all {points}."
        where = f"file={workflow_property(file)},line={line},endLine={line}"
        yield f"::error {where},title=Not imported::{workflow(text[:MAX_MESSAGE])}"
        return
    for test in sorted(lost, key=lambda test: -test.points)[:MAX_ANNOTATIONS]:
        place = source.failing_lines(record.source, test)
        where = f"file={workflow_property(file)},line={place[0]},endLine={place[-1]}" if place else ""
        title = f"title={workflow_property(titles.get(test.part, test.part))}"
        yield f"::error {','.join(filter(None, (where, title)))}::{workflow(_message(test, detail)[:MAX_MESSAGE])}"


def _not_imported(test: TestOutcome) -> bool:
    return "cannot be imported" in test.reason or test.reason.startswith("importing ")


def _message(test: TestOutcome, detail: str) -> str:
    if detail == "scores":
        return f"{test.points} points"
    text = [test.sentence, test.reason]
    if test.hint:
        text.append(f"Likely cause: {test.hint}")
    if detail == "counterexamples":
        text += [f"input: {call}" for call in test.calls[-1:]]
        text += [
            f"{name}: {value}" for name, value in (("returned", test.returned), ("expected", test.expected)) if value
        ]
    return "\n".join(visible(line) for line in text if line)


def summary(record: Record, detail: str) -> str:
    """The step's summary, as Markdown: a table of the parts, then what was lost."""
    text = [f"## {markdown(record.assignment)}: {record.score} of {record.max_score} points\n"]
    if record.problem:
        text.append(f"**Nothing to grade:** {markdown(record.problem)}\n")
    text += ["| part | points | |", "|---|---:|---|"]
    for part in record.parts:
        mark = "✅" if part.earned == part.points else "➖" if part.earned else "❌"
        text.append(f"| {markdown(part.title)} | {part.earned}/{part.points} | {mark} |")
    for part in record.parts:
        lost = "" if record.problem else feedback.in_markdown(record, part, detail)
        if lost.strip():
            text.append(f"\n### {markdown(part.title)}\n\n{lost}")
    text.append(f"\nGraded at level {markdown(record.level)}; record {markdown(record.id)}.")
    whole = "\n".join(text) + "\n"
    if len(whole.encode()) > MAX_SUMMARY:
        whole = whole.encode()[:MAX_SUMMARY].decode("utf-8", "ignore") + "\n\n… cut: too long for a summary\n"
    return whole


def classroom(record: Record) -> str:
    """The step output `result` that GitHub Classroom's reporter reads: JSON, in base64."""
    tests = [
        {
            "name": visible(part.title),
            "status": "pass" if part.earned == part.points else "error" if part.status == "error" else "fail",
            "score": part.earned,
            "message": feedback.headline(record, part),
            "test_code": part.name,
            "task_id": 0,
            "filename": "",
            "line_no": 0,
            "duration": 0,
            "output": feedback.headline(record, part)[:MAX_OUTPUT],
        }
        for part in record.parts
    ]
    status = "pass" if record.score == record.max_score else "fail"
    result = {"version": 1, "status": status, "max_score": record.max_score, "tests": tests}
    return base64.b64encode(msgspec.json.encode(result)).decode()


def withheld(course: Course, assignment: str, allowed: throttle.Allowance, now: datetime) -> str:
    """Why hidden results are not shown now, or ""."""
    due = course.due.get(assignment)
    if course.feedback.visible == "after_published":
        return "results are shown when they are published"
    if course.feedback.visible == "after_due" and (due is None or now < due):
        return f"results are shown after the due date{f', {_minute(due)}' if due else ''}"
    if not allowed.shown and allowed.next_at is not None:
        return f"results were shown as often as the course allows; push after {_minute(allowed.next_at)} to see some"
    return ""


def left(allowed: throttle.Allowance) -> str:
    """What a student is told of the tokens that are left, or ""."""
    if allowed.next_at is None:
        return ""
    return f"Results are shown {allowed.left} more times; a token grows back at {_minute(allowed.next_at)}."


def _minute(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def notices(record: Record) -> list[str]:
    """What GitHub Classroom reads the points from, in its reporter's own words."""
    report = f'{{"totalPoints":{record.score},"maxPoints":{record.max_score}}}'
    return [
        f"::notice title=Autograding complete::Points {record.score}/{record.max_score}",
        f"::notice title=Autograding report::{report}",
    ]
