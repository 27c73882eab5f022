"""What a student may read of their record: each part's points, what failed, and on which input.

What the submission itself printed or put into an exception is left out (it is in the instructor's report): it could
carry what hidden tests passed to it from one attempt to the next. Its returned value and its own lines are shown.
`detail` is the course's: counterexamples (all of it), reasons (the property and why), scores (points alone).
"""

from __future__ import annotations

from collections.abc import Iterator

from autograder.outcome import TestOutcome
from autograder.records import PartResult, Record
from autograder.reports.escape import lines, markdown, visible
from autograder.reports.failure import STATUS

MAX_TEXT = 2000  # characters of one value


def part_of(record: Record, name: str) -> PartResult | None:
    return next((part for part in record.parts if part.name == name), None)


def headline(record: Record, part: PartResult) -> str:
    """One line: points and how many properties hold."""
    own = [test for test in record.tests if test.part == part.name]
    held = sum(test.status == "passed" for test in own)
    properties = f", {held} of {len(own)} properties hold" if own else ""
    return f"{part.earned} of {part.points} points{properties}"


def plain(record: Record, part: PartResult, detail: str) -> str:
    """The part as lines of plain text."""
    text = [f"{visible(part.title)}: {headline(record, part)}"]
    if record.problem:
        return f"{text[0]}\nNothing to grade: {visible(record.problem)}\n"
    for test in _lost(record, part) if detail != "scores" else ():
        text += ["", f"{STATUS[test.status]} ({test.points} points): {visible(test.sentence)}"]
        text += [f"  {visible(label + _cut(value))}" for label, value in _facts(test, detail)]
        if detail == "counterexamples" and test.snippet:
            text += ["  run it yourself:", *(f"    {line}" for line in lines(_cut(test.snippet)).splitlines())]
    return "\n".join(text) + "\n"


def in_markdown(record: Record, part: PartResult, detail: str) -> str:
    """The part as Markdown, every text of it encoded."""
    if record.problem:
        return f"**Nothing to grade:** {markdown(record.problem)}\n"
    text = []
    for test in _lost(record, part) if detail != "scores" else ():
        text.append(f"**{STATUS[test.status]}** ({test.points} points): {markdown(test.sentence)}\n")
        text += [f"- {markdown(label + _cut(value))}" for label, value in _facts(test, detail)]
        if detail == "counterexamples" and test.snippet:
            text += ["\nRun it yourself:\n", *(f"    {line}" for line in lines(_cut(test.snippet)).splitlines())]
        text.append("")
    return "\n".join(text)


def _lost(record: Record, part: PartResult) -> list[TestOutcome]:
    own = [test for test in record.tests if test.part == part.name and test.status != "passed"]
    return sorted(own, key=lambda test: test.status == "skipped")


def _facts(test: TestOutcome, detail: str) -> Iterator[tuple[str, str]]:
    if test.reason:
        yield "", test.reason
    if test.hint:
        yield "likely cause: ", test.hint
    if detail != "counterexamples":
        return
    for call in test.calls:
        yield "input: ", call
    if test.returned:
        yield "returned: ", test.returned
    if test.expected:
        yield "expected: ", test.expected
    for entry in test.trace:
        yield f"line {entry.line} in {entry.function}: ", entry.text.strip()


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"
