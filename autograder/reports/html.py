"""The report as a folder of static pages: the class, each part of each assignment, each submission.

Every page is whole in itself: its style and its script are in it, allowed by their hashes alone, so that a page can be
given to one student, opens from a file, asks no network and runs nothing that a record brought along. Texts reach a
page through the autoescape of the templates only. File names are hashes; a later run removes the pages that an earlier
one listed in its manifest, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from autograder.records import Record
from autograder.reports import source, summary, tensors
from autograder.reports.escape import lines

MANIFEST = ".report-pages.json"
TEMPLATES = Path(__file__).with_name("templates")
LONG_SNIPPET = 1600  # characters; a longer one is folded away

_OURS = re.compile(r"index\.html|(students|parts)/[0-9a-f]{24}\.html")


class ReportError(Exception):
    """The report cannot be written. The message is one line for a person."""

    exit_code = 2


class Bar(msgspec.Struct, frozen=True):
    """One bar of the distribution, in units of its picture."""

    x: float
    y: float
    width: float
    height: float
    count: int
    label: str


def write_site(records: Iterable[Record], folder: Path) -> Path:
    """Write `index.html` and the pages that it links to into `folder`; returns its path."""
    current, older = summary.newest(records)
    try:
        (folder / "students").mkdir(parents=True, exist_ok=True)
        (folder / "parts").mkdir(exist_ok=True)
        site = _Site(current, older)
        before = _listed(folder)
        if (folder / "index.html").exists() and "index.html" not in before:
            raise ReportError(f"{folder / 'index.html'} was not made by this command; choose another folder")
        names = {"index.html", *site.names()}
        # Listed before they are written: what a killed run leaves is known to the next.
        _write(folder / MANIFEST, msgspec.json.encode(sorted(names | before)).decode())
        for name, text in site.pages():
            _write(folder / name, text)
        for name in before - names:
            (folder / name).unlink(missing_ok=True)
        _write(folder / MANIFEST, msgspec.json.encode(sorted(names)).decode())
    except OSError as error:
        raise ReportError(f"cannot write the report into {folder}: {error.strerror}; choose another folder") from None
    return folder / "index.html"


class _Site:
    """The pages of some records, made one at a time."""

    def __init__(self, records: list[Record], older: list[Record]) -> None:
        self.records, self.older = records, older
        self.by_assignment: dict[str, list[Record]] = {}
        for record in records:
            self.by_assignment.setdefault(record.assignment, []).append(record)
        self.overviews = [summary.overview(name, own) for name, own in self.by_assignment.items()]
        self.environment = _environment()

    def names(self) -> list[str]:
        students = [student_page(record) for record in [*self.records, *self.older]]
        return students + [part_page(o.name, part.name) for o in self.overviews for part in o.parts]

    def pages(self) -> Iterable[tuple[str, str]]:
        """The name and text of every page, the class last: it then links to nothing that is not there."""
        for own in self.by_assignment.values():
            for place, record in enumerate(own):
                near = (own[place - 1] if place else None, own[place + 1] if place + 1 < len(own) else None)
                yield student_page(record), self._student(record, near)
        for record in self.older:
            yield student_page(record), self._student(record, (None, None), older=True)
        for overview in self.overviews:
            graded = [r for r in self.by_assignment[overview.name] if summary.state(r) == "graded"]
            for part in overview.parts:
                yield part_page(overview.name, part.name), self._part(overview.name, part, graded)
        yield "index.html", self._class()

    def _class(self) -> str:
        return self._render(
            "class.html.j2",
            course=next((record.course for record in self.records), ""),
            overviews=self.overviews,
            records=self.records,
            older=self.older,
            people=sorted((r for r in self.records if r.needs_a_person), key=lambda r: not r.grader_error),
            stamps=list(dict.fromkeys(summary.stamp(record) for record in self.records)),
        )

    def _part(self, assignment: str, part: summary.PartCount, graded: list[Record]) -> str:
        return self._render(
            "part.html.j2",
            assignment=assignment,
            part=part,
            graded=len(graded),
            groups=summary.groups(part.name, graded),
            properties=summary.properties(part.name, graded),
        )

    def _student(self, record: Record, near: tuple[Record | None, Record | None], *, older: bool = False) -> str:
        failures = summary.failures(record)
        return self._render(
            "student.html.j2",
            record=record,
            older=older,
            others=[r for r in self.records if r.student == record.student and r is not record],
            before=near[0],
            after=near[1],
            losses=summary.losses(record),
            places={test.test: place for place, test in enumerate(record.tests)},
            titles={part.name: part.title for part in record.parts},
            file=source.stretches(record.source, failures) if record.source else [],
            lines_left_out=source.left_out(record.source),
            stamps=[summary.stamp(record)],
        )

    def _render(self, template: str, **values: Any) -> str:
        return self.environment.get_template(template).render(**values)


def student_page(record: Record) -> str:
    return f"students/{summary.page_name(record)}.html"


def part_page(assignment: str, part: str) -> str:
    return f"parts/{summary.part_page_name(assignment, part)}.html"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    assets = {name: (TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "table.js", "copy.js")}
    environment.globals.update(
        assets={name: Markup(text) for name, text in assets.items()},  # ours, from this package
        hashes={name: _hash(text) for name, text in assets.items()},
        student_page=student_page,
        part_page=part_page,
        state=summary.state,
        mark=summary.mark,
        whole=summary.whole,
        first_reason=summary.first_reason,
        called=source.called,
        picture=tensors.picture,
        words=tensors.words,
        bars=bars,
        test_place=lambda record, test: next(i for i, own in enumerate(record.tests) if own.test == test.test),
        long_snippet=LONG_SNIPPET,
    )
    return environment


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def bars(bins: list[int], width: float = 440, height: float = 120) -> list[Bar]:
    """The distribution as bars from the left; full marks stand apart."""
    highest, step = max(max(bins), 1), width / 11.6
    placed = []
    for tenth, count in enumerate(bins):
        tall = round(height * count / highest, 1) if count else 0.0
        x = round((tenth + (0.6 if tenth == 10 else 0)) * step, 1)
        label = "full marks" if tenth == 10 else f"{10 * tenth} to {10 * tenth + 9} %"
        placed.append(Bar(x, round(height - tall, 1), round(step - 4, 1), tall, count, label))
    return placed


def _listed(folder: Path) -> set[str]:
    """The pages that an earlier run says it made; names that this writer cannot have given are ignored."""
    try:
        names = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=list[str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return set()
    return {name for name in names if _OURS.fullmatch(name)}


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and never through a link that lies there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".write-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
