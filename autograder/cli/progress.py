"""Grading with somebody watching: a progress bar with an ETA, then the table, the report, and the exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from autograder import batch
from autograder.cli import choices
from autograder.course import Assignment, Course
from autograder.executors import Isolation
from autograder.intake import Submission
from autograder.records import Key, Record, Store, read_all
from autograder.reports import escape, html, terminal
from autograder.reports.escape import terminal as shown

WIDTH = 140


class Settings(msgspec.Struct, frozen=True):
    """A grading command, understood."""

    course: Course
    course_folder: str
    key: Key
    out: Path
    jobs: int
    isolation: Isolation = "zygote"
    device: str = "cpu"
    regrade: bool = False
    unsafe_allow: str = ""
    level: str = ""


def grade(
    piles: list[tuple[Assignment, list[Submission]]], settings: Settings, *, as_json: bool = False
) -> list[Record]:
    """Grade every pile, write the report, print the table. Exits with 3 where the grader itself failed on one."""
    level = settings.level or choices.level(settings.unsafe_allow, settings.device)
    store = Store(settings.out)
    options = batch.Options(
        key=settings.key, level=level, jobs=settings.jobs if settings.device == "cpu" else 1,  # one to a GPU
        isolation=settings.isolation, device=settings.device,
        regrade=settings.regrade, course_folder=settings.course_folder,
    )  # fmt: skip
    batches = [batch.Batch(settings.course, assignment, pile, store, options) for assignment, pile in piles]
    console = Console(stderr=True)
    records: list[Record] = []
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("about"), TimeRemainingColumn(), TextColumn("left"),
        console=console, disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        for one in batches:
            task = bar.add_task(f"grading {one.assignment.name}", total=len(one.submissions))
            finished = 0

            def tell(news: batch.Progress, one: batch.Batch = one, task: object = task) -> None:
                nonlocal finished
                if news.record is None:
                    return
                finished += 1
                bar.advance(task)  # type: ignore[arg-type]
                if not console.is_terminal:
                    was = " (was there)" if news.known else ""
                    mark = (
                        news.record.grader_error and "grader error"
                    ) or f"{news.record.score}/{news.record.max_score}"
                    print(
                        f"{one.assignment.name} {finished}/{len(one.submissions)} {shown(news.student)}: {mark}{was}",
                        file=sys.stderr, flush=True,
                    )  # fmt: skip

            records += one.run(tell)
    index = html.write_site(list(read_all(settings.out)), settings.out)
    if as_json:
        print(escape.json(records))
    else:
        # Where nobody looks (a pipe, a log) rich would take 80 columns, which is too few for the reasons.
        console_out = Console() if sys.stdout.isatty() else Console(width=WIDTH)
        for assignment in dict.fromkeys(record.assignment for record in records):
            console_out.print(terminal.class_table([record for record in records if record.assignment == assignment]))
        console_out.print(f"contained at level {level}; report: {index}", soft_wrap=True, highlight=False)
    if any(record.grader_error for record in records):
        raise typer.Exit(3)
    return records
