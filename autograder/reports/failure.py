"""What failed, for a terminal: a student's own check, and one property at a time. Part of the students' kit.

Every text goes through its encoder before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from autograder.course import Assignment
from autograder.outcome import TestOutcome
from autograder.reports import tensors
from autograder.reports.escape import terminal
from autograder.reports.source import called

Mark = Literal["full", "some", "none", "skipped", "error"]
MARKS: dict[Mark, tuple[str, str]] = {
    "full": ("●", "green"), "some": ("◐", "yellow"), "none": ("○", "default"), "skipped": ("·", "dim"),
    "error": ("!", "bold red"),
}  # fmt: skip
STATUS = {
    "passed": "holds", "failed": "fails", "error": "grader error", "timeout": "out of time", "crashed": "crashed",
    "out_of_memory": "out of memory", "skipped": "skipped",
}  # fmt: skip
SHORT = 140  # characters of one text where everything must fit on a screen
SHORT_SNIPPET = 320


def checked(
    assignment: Assignment, outcomes: Iterable[TestOutcome], everything: bool, told: str = ""
) -> RenderableType:
    """A student's own check: what to fix first, on at most a screen; all of it where `everything` is asked for.

    `told` names the test that `fix_first` has shown already.
    """
    tests = list(outcomes)
    failing = sorted((t for t in tests if t.status != "passed"), key=lambda t: (t.test != told, t.status == "skipped"))
    if not failing:
        return Group(
            Text(f"All public properties of {assignment.name} hold ({len(tests)}).", "bold green"),
            Text("The grader has more properties, and draws other inputs.", "dim"),
        )
    shown = failing if everything else failing[:1]
    lines: list[RenderableType] = []
    for place, test in enumerate(shown):
        if test.test != told:
            lines += [_headed(assignment, test, "Then" if place else "Fix first", short=not everything), Text()]
    held = f"{len(tests) - len(failing)} of {len(tests)} properties hold"
    lines.append(Text.assemble(_strip(assignment, tests), "  ", held))
    if len(failing) > len(shown):
        more = "1 more property does" if len(failing) == 2 else f"{len(failing) - 1} more properties do"
        lines.append(Text(f"{more} not hold; --all shows everything.", "dim"))
    return Group(*lines)


def fix_first(assignment: Assignment, test: TestOutcome, everything: bool) -> RenderableType:
    """The first property that does not hold, as soon as that is known: the rest of the check goes on after it."""
    return Group(_headed(assignment, test, "Fix first", short=not everything), Text())


def _headed(assignment: Assignment, test: TestOutcome, heading: str, *, short: bool) -> RenderableType:
    titles = {part.name: part.title for part in assignment.parts}
    title = titles.get(test.part) or terminal(test.part)
    return Group(Text.assemble((heading, "bold cyan"), "  ", title), outcome(test, short=short))


def _strip(assignment: Assignment, tests: list[TestOutcome]) -> Text:
    """The parts at a glance, by properties: public tests are worth no points."""
    strip = Text()
    for part in assignment.parts:
        own = [test.status for test in tests if test.part == part.name]
        held = own.count("passed")
        missing: Mark = "skipped" if set(own) == {"skipped"} else "none"
        strip.append(*MARKS["full" if held == len(own) else "some" if held else missing])
    return strip


def outcome(test: TestOutcome, *, short: bool = False) -> RenderableType:
    """One property: how it failed, on which input, and a script that shows it. `short` keeps it to a screen."""
    style = "green" if test.status == "passed" else "dim" if test.status == "skipped" else "red"
    reason = f": {_subject(test)}{_cut(test.reason, short)}" if test.reason else ""
    lines: list[RenderableType] = [
        Text(_cut(test.sentence, short), "bold"),
        Text.assemble((STATUS[test.status], style), reason),
    ]
    if test.hint:
        evidence = f" {terminal(test.hint_evidence)}" if test.hint_evidence and not short else ""
        lines.append(Text.assemble(("Likely cause: ", "bold yellow"), _cut(test.hint, short), (evidence, "dim")))
    if test.status == "failed" or test.calls:
        calls = test.calls[-1:] if short else test.calls
        lines += [Text.assemble(("input     ", "dim"), _cut(call, short)) for call in calls]
    if test.returned:
        lines.append(Text.assemble(("returned  ", "dim"), _marked(test.returned, test.expected, short)))
    if test.expected:
        lines.append(Text.assemble(("expected  ", "dim"), _marked(test.expected, test.returned, short)))
    for entry in test.trace[-2:] if short else test.trace:
        where = f"line {entry.line} in {_cut(entry.function, short)}: "
        lines.append(Text.assemble((where, "dim"), _cut(entry.text.strip(), short)))
    if test.message:
        lines += [Text(f"  {_cut(line, short)}", "dim") for line in test.message.splitlines()[: 1 if short else None]]
    if test.snippet and test.status != "passed":
        lines += _snippet(test.snippet, short)
    return Group(*lines)


def _snippet(snippet: str, short: bool) -> list[RenderableType]:
    if short and len(snippet) > SHORT_SNIPPET:
        return [Text("--all also shows a script that shows this.", "dim")]
    # Not wrapped and not indented, so that it can be selected and pasted.
    lines = [line for line in snippet.splitlines() if line.strip() or not short]
    return [Text("run it yourself:", "dim"), *(Text(terminal(line), no_wrap=True, overflow="ignore") for line in lines)]


def _subject(test: TestOutcome) -> str:
    name = called(test.calls[-1]) if test.calls and test.status == "failed" else ""
    return f"{terminal(name)} " if name else ""


def _marked(text: str, other: str, short: bool) -> Text:
    if short and len(text) > SHORT:
        return Text(_cut(text, short))
    marked = Text()
    for piece in tensors.words(text, other):
        marked.append(terminal(piece.text), "bold red" if piece.wrong else None)
    return marked


def _cut(text: str, short: bool) -> str:
    shown = terminal(text)
    return shown if not short or len(shown) <= SHORT else f"{shown[: SHORT - 2]} …"
