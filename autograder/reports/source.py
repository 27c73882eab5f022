"""A student's file as numbered lines, what failed marked. Text only: nothing here parses a submission."""

from __future__ import annotations

import re

import msgspec

from autograder.outcome import TestOutcome

FOLD = 8  # a longer run of lines in which nothing failed is folded away
MARGIN = 2  # lines shown around what is marked
MAX_NAME = 80  # characters of a function's name
MAX_LINES = 2500  # lines that a page shows; a longer file is cut

_NAME = re.compile(r"[^\W\d]\w*")


class Line(msgspec.Struct, frozen=True):
    """One line of the file. `mark` is "raised" where an error passed, "failing" in the function of a failure, or ""."""

    number: int
    text: str
    mark: str


class Stretch(msgspec.Struct, frozen=True):
    """Neighbouring lines that are shown together, or folded away together."""

    lines: list[Line]
    folded: bool


def stretches(source: str, failures: list[TestOutcome]) -> list[Stretch]:
    """The file, cut where folding begins and ends."""
    lines = _lines(source)[:MAX_LINES]
    raised = {entry.line for test in failures for entry in test.trace}
    failing = {number for test in failures for number in _functions(lines, test)}
    if not raised and not failing:
        return [Stretch([Line(n, text, "") for n, text in enumerate(lines, 1)], folded=False)]
    marks = {**dict.fromkeys(failing, "failing"), **dict.fromkeys(raised, "raised")}
    shown = {n + d for n in marks for d in range(-MARGIN, MARGIN + 1)}
    cut: list[list[Line]] = []
    for number, text in enumerate(lines, 1):
        if not cut or (number in shown) != (number - 1 in shown):
            cut.append([])
        cut[-1].append(Line(number, text, marks.get(number, "")))
    return [Stretch(piece, folded=piece[0].number not in shown and len(piece) > FOLD) for piece in cut]


def left_out(source: str) -> int:
    """How many lines of a very long file are not shown."""
    return max(0, len(_lines(source)) - MAX_LINES)


def failing_lines(source: str, test: TestOutcome) -> range:
    """The lines of the function that a test ended in, counted from 1; empty where it is not to be found."""
    return _functions(_lines(source)[:MAX_LINES], test)


def _lines(source: str) -> list[str]:
    """The lines as Python counts them: `splitlines` also ends one at a form feed and at what only Unicode knows."""
    lines = re.split(r"\r\n|\r|\n", source)
    return lines if lines[-1] else lines[:-1]


def _functions(lines: list[str], test: TestOutcome) -> range:
    """The lines of the function that the failing test ended in: where it raised, else the one called last."""
    if test.trace:
        last = test.trace[-1]
        start = next((n for n in range(min(last.line, len(lines)), 0, -1) if _defines(lines[n - 1], last.function)), 0)
        return _block(lines, start)
    for call in reversed(test.calls):
        name = called(call)
        start = next((n for n, line in enumerate(lines, 1) if name and _defines(line, name)), 0)
        if start:
            return _block(lines, start)
    return range(0)


def called(call: str) -> str:
    """The name of what a counterexample calls: `softmax(…)`, `<object>.forward(…)`, `gradient of softmax(…) …`."""
    target = call.removeprefix("gradient of ").split("(", 1)[0]
    names = _NAME.findall(target.rsplit(".", 1)[-1])
    return names[-1] if names and names[-1] != "object" and len(names[-1]) <= MAX_NAME else ""


def _defines(line: str, name: str) -> bool:
    words = line.split("#", 1)[0].replace("(", " ").replace(":", " ").split()
    words = words[1:] if words[:1] == ["async"] else words
    return len(words) >= 2 and words[0] in ("def", "class") and words[1] == name


def _block(lines: list[str], start: int) -> range:
    """From a `def` to the last line that is indented more than it, the lines of a long signature included."""
    if not start:
        return range(0)
    indent = _indent(lines[start - 1])
    end = start
    open_brackets = lines[start - 1].count("(") - lines[start - 1].count(")")
    for number in range(start + 1, len(lines) + 1):
        line = lines[number - 1]
        if open_brackets > 0:
            open_brackets += line.count("(") - line.count(")")
            end = number
        elif not line.strip():
            continue
        elif _indent(line) > indent:
            end = number
        else:
            break
    return range(start, end + 1)


def _indent(line: str) -> int:
    return len(line.expandtabs()) - len(line.expandtabs().lstrip())
