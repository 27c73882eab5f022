"""Writes a ready nbgrader course: configuration, source notebooks, stubs, due dates and students in the database."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from autograder import roster as rosters
from autograder.cli import choices
from autograder.course import Assignment, Course, CourseError, open_course
from autograder.lms.nbgrader import notebook
from autograder.stubs import stub

MARKER = "# Made by `autograder nbgrader`."
OWN = "nbgrader_own.py"
HANDED_OUT = (".py", ".md")


class NbgraderError(Exception):
    """The course cannot be made. One line for a person."""

    exit_code = 2


class Settings(msgspec.Struct, frozen=True):
    """What goes into the configuration."""

    course_folder: str = ""
    database: str = ""  # SQLAlchemy's address; a SQLite file in the course where it is empty
    key_file: str = ""
    jobs: int = 0
    unsafe_allow: str = ""
    roster: str = ""


def make(course: Course, chosen: list[Assignment], folder: Path, settings: Settings) -> list[Path]:
    """Write the course into `folder`, or bring one that was made earlier up to date; the paths of what was written.

    An instructor's own cells and files stay. Raises NbgraderError for a configuration that is not ours, and for a
    database that cannot be opened, before anything is written.
    """
    if settings.database.startswith(("postgres://", "postgresql://")):
        better = "postgresql+psycopg://" + settings.database.split("://", 1)[1]
        raise NbgraderError(f"name the driver too: --db {better} (pip install 'psycopg[binary]')")
    config = folder / "nbgrader_config.py"
    if config.exists() and MARKER not in config.read_text(encoding="utf-8"):
        raise NbgraderError(
            f"{config} was not made by this command: name a new folder, or move your lines to {OWN} beside it"
        )
    if settings.database:
        _open(settings.database, folder)
    files = {config: _config(course, settings)}
    for assignment in chosen:
        source = folder / "source" / assignment.name
        solution = assignment.solution
        handed_out = {path.name: path for path in assignment.folder.iterdir() if path.suffix in HANDED_OUT}
        if solution.exists():
            files[source / assignment.module] = stub(solution.read_text(encoding="utf-8"))
            handed_out.pop(assignment.module, None)
        for name, path in sorted(handed_out.items()):
            files[source / name] = path.read_text(encoding="utf-8")
        sheet = source / f"{assignment.name}.ipynb"
        files[sheet] = notebook.notebook(assignment, _old(sheet))
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NbgraderError(f"cannot write {folder}: {error.strerror}") from None
    return list(files)


def _open(database: str, folder: Path) -> None:
    """Open the database and close it again. SQLite would make the file: there the folder is looked for."""
    from sqlalchemy import create_engine, inspect, make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = make_url(database)
        if url.get_backend_name() == "sqlite":
            place = Path(url.database or "").resolve().parent
            if not place.is_dir() and folder.resolve() not in (place, *place.parents):
                raise ValueError(f"there is no folder {place}")
            return
        engine = create_engine(url)
        try:
            inspect(engine).get_table_names()
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError, ValueError) as error:  # the address, its driver, its port
        why = str(error).strip().split("\n")[0]
        raise NbgraderError(f"--db cannot be opened: {why}; name one such as sqlite:////data/gradebook.db") from None


def _old(path: Path) -> str:
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8")
    try:
        json.loads(text)["cells"]
    except (ValueError, KeyError, TypeError):
        raise NbgraderError(f"{path} is no notebook; move it away") from None
    return text


def enroll(course: Course, chosen: list[Assignment], folder: Path, settings: Settings, roster: rosters.Roster) -> None:
    """Put due dates and students into nbgrader's database; it is made where there is none.

    Extensions are the grading's business: nbgrader keeps them with submissions, and there are none yet.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    from nbgrader.api import Gradebook

    with Gradebook(settings.database or f"sqlite:///{folder.resolve() / 'gradebook.db'}", course.id) as gradebook:
        for assignment in chosen:
            due = course.due.get(assignment.name)
            gradebook.update_or_create_assignment(assignment.name, duedate=due and _naive(due))
        for student in roster.students:
            known = roster.identities.get(student, {})
            first, _, last = known.get("name", "").rpartition(" ")
            gradebook.update_or_create_student(
                student, first_name=first or None, last_name=last or None, email=known.get("email") or None,
                lms_user_id=known.get("canvas_id") or known.get("moodle_id") or None,
            )  # fmt: skip


def check(grade: Mapping[str, Any]) -> None:
    """Read what every submission is graded with, by `c.Grade` of a configuration: the course, the key, the roster.

    Ends the process with one line where one of them cannot be used.
    """
    given = {name: Path(grade[name]) if grade.get(name) else None for name in ("course", "key_file", "roster")}
    try:
        choices.key(given["key_file"])
        rosters.read(given["roster"], open_course(given["course"]))
    except (CourseError, choices.UsageError, rosters.RosterError) as error:
        print(f"autograder: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _naive(time: datetime) -> datetime:
    """nbgrader's times are UTC and do not say so."""
    return time.astimezone(UTC).replace(tzinfo=None)


def _config(course: Course, settings: Settings) -> str:
    modules = {name.name: [name.module] for name in course.assignments}
    grade = {
        "course": settings.course_folder, "key_file": settings.key_file, "jobs": settings.jobs,
        "unsafe_allow": settings.unsafe_allow, "roster": settings.roster,
    }  # fmt: skip
    grade_lines = "".join(f"c.Grade.{name} = {value!r}\n" for name, value in grade.items() if value)
    database = f"c.CourseDirectory.db_url = {settings.database!r}\n" if settings.database else ""
    penalty = f"c.CoursePenalty.course = {settings.course_folder!r}\n" if settings.course_folder else ""
    return _TEMPLATE.format(
        marker=MARKER, own=OWN, course=course.id, database=database, modules=modules, grade=grade_lines, penalty=penalty
    )


_TEMPLATE = """\
{marker} Run it again after a change of the course: it writes this file anew.
# Your own lines go into {own}, beside this file; they are read last.
import os
import sys

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = {course!r}
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
{database}
# nbgrader calls `alembic` by its name when it makes a database.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])

# Grading happens in the autograder's judge and sandbox. No kernel is started.
ours = "autograder.lms.nbgrader.preprocessors."
theirs = "nbgrader.preprocessors."
c.Autograde.sanitize_preprocessors = [
    ours + "OwnCells",
    theirs + "DeduplicateIds",
    theirs + "OverwriteKernelspec",
    theirs + "OverwriteCells",
    ours + "KeepOutputs",
    theirs + "CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    ours + "Grade",
    theirs + "IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    theirs + "LimitOutput",
    theirs + "SaveAutoGrades",
    theirs + "AssignLatePenalties",
    theirs + "CheckCellMetadata",
]
c.OverwriteCells.add_missing_cells = True
# Files of source/ would otherwise be copied over these, which students write.
c.Autograde.exclude_overwriting = {modules!r}
{grade}
c.AssignLatePenalties.plugin_class = "autograder.lms.nbgrader.late.CoursePenalty"
{penalty}c.ExportApp.plugin_class = "autograder.lms.nbgrader.export.SafeCsv"

# What students write is shown to you and to them in a browser.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {{"markdown2html": "autograder.lms.nbgrader.pages.markdown2html"}}

own = os.path.join(os.path.dirname(os.path.abspath(__file__)), {own!r})
if os.path.exists(own):
    load_subconfig(own)  # noqa: F821

if sys.argv[1:2] == ["autograde"]:  # else nbgrader says it of each student, with a traceback
    from autograder.lms.nbgrader.course import check

    check(c.Grade)
"""
