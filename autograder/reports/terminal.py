"""A class in the terminal: a rich table, every text of which went through its encoder."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from autograder.records import Record
from autograder.reports import summary
from autograder.reports.escape import terminal
from autograder.reports.failure import MARKS


def class_table(records: Sequence[Record]) -> Table:
    """One line for each submission: student, score, parts, seconds, and the first reason for a lost point."""
    overview = summary.overview(records[0].assignment if records else "", list(records))
    middle = f"mean {overview.mean:.1f}, median {overview.median:g} of {overview.points}"
    table = Table(
        title=Text(f"{terminal(overview.name)}: {middle}"), title_style="bold", title_justify="left", caption=_legend(),
        caption_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip
    table.add_column("student", no_wrap=True, max_width=28, overflow="ellipsis")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("parts", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("first reason", no_wrap=True, overflow="ellipsis", ratio=1)
    for record in sorted(records, key=lambda r: not r.grader_error):
        name = terminal(record.student) + (f" (attempt {record.attempt})" if record.attempt > 1 else "")
        known = summary.state(record) == "graded"
        instead = Text("error" if record.grader_error else "–", "bold red")
        score = Text(f"{record.score}/{record.max_score}") if known else instead
        parts = Text.assemble(*(MARKS[summary.mark(part)] for part in record.parts)) if known else Text()
        reason = Text(terminal(summary.first_reason(record)), "" if known else "red")
        table.add_row(Text(name), score, parts, Text(f"{record.seconds:.1f}"), reason)
    return table


def _legend() -> Text:
    words = {"full": "whole", "some": "partly", "none": "not yet", "skipped": "skipped", "error": "grader error"}
    return Text("  ").join(Text.assemble(MARKS[mark], f" {word}") for mark, word in words.items())  # type: ignore[index]
