"""Bulk downloads of an LMS, recognised as they are: which file is whose, and when it was handed in.

    plain       alice.py, alice/toy.py                              (see `intake`)
    canvas      doejane_12345_678901_toy-1.py, doejane_LATE_12345_678901_toy.py
    moodle      Jane Doe_12345_assignsubmission_file/toy.py
    gradescope  submission_metadata.yml and submission_123456/toy.py
    classroom   <assignment>-<user>/.git and toy.py                 (GitHub Classroom's clones)
    nbgrader    <student>/<assignment>/toy.py and timestamp.txt     (its submitted/)

A layout is taken only where every entry fits it. What was taken for whose is shown before grading and kept in the
ledger; `--layout` names one where a person knows better. All reading is intake's, so all its rules hold here too.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from autograder import intake
from autograder.course import Assignment
from autograder.intake import NOT_HANDED_IN, Submission

LAYOUTS = ("plain", "canvas", "moodle", "gradescope", "classroom", "nbgrader")
METADATA = "submission_metadata.yml"
MAX_METADATA = 64 * 1024 * 1024

_CANVAS = re.compile(r"(?P<name>[^_]+)(?P<late>_LATE)?_(?P<id>\d+)_(?P<file>\d+)_(?P<rest>.+)")
_MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_file_?(?P<rest>.*)")


class LayoutError(Exception):
    """The folder is not what it is said to be. One line for a person."""

    exit_code = 2


def take_in(path: Path, assignment: Assignment, layout: str = "") -> tuple[str, list[Submission]]:
    """The layout of `path` and the Submissions in it. Raises LayoutError, and IntakeError as `intake` does."""
    if layout and layout not in LAYOUTS:
        raise LayoutError(f"--layout is one of {', '.join(LAYOUTS)}, not {layout!r}")
    entries = _entries(path)
    chosen = layout or recognise(path, entries, assignment)
    if chosen == "plain":
        return chosen, list(intake.intake(path, module=assignment.module))
    if not _fits(chosen, path, entries, assignment):
        raise LayoutError(f"{path} is not laid out as {chosen}: see the layouts in the README, or leave --layout out")
    return chosen, sorted(_TAKE[chosen](path, entries, assignment), key=lambda s: (s.student, s.origin))


def recognise(path: Path, entries: dict[str, bool], assignment: Assignment) -> str:
    """The layout that every entry fits; plain where there is none."""
    return next((name for name in LAYOUTS[1:] if _fits(name, path, entries, assignment)), "plain")


def resembled(path: Path, assignment: Assignment) -> str:
    """Of a folder that was taken as plain: the layout that some of its entries fit, or "".

    One stray file makes a whole download plain, and then every name in it is taken for a student's.
    """
    found = _entries(path).items()
    likely = (name for name in LAYOUTS[1:] if any(_is_of(name, path, *entry, assignment) for entry in found))
    return next(likely, "")


def _entries(path: Path) -> dict[str, bool]:
    """Names in a folder, and whether each is a folder itself and no link to one."""
    if not path.is_dir():
        return {}
    with os.scandir(path) as found:
        return {e.name: e.is_dir(follow_symlinks=False) for e in found if e.name not in NOT_HANDED_IN}


def _fits(layout: str, path: Path, entries: dict[str, bool], assignment: Assignment) -> bool:
    if layout == "gradescope":
        return METADATA in entries
    return bool(entries) and all(_is_of(layout, path, *entry, assignment) for entry in entries.items())


def _is_of(layout: str, path: Path, name: str, folder: bool, assignment: Assignment) -> bool:
    """Whether one entry is as this layout's are."""
    if layout == "gradescope":
        return name == METADATA
    if layout == "canvas":
        return not folder and bool(_CANVAS.fullmatch(name))
    if layout == "moodle":
        return bool(_MOODLE.fullmatch(name))
    if layout == "classroom":
        begins = f"{assignment.name}-"
        return folder and name.startswith(begins) and name != begins and (path / name / ".git").exists()
    # A folder in a folder may also be a plain submission: it is nbgrader's where its time stands beside it.
    return folder and (path / name / assignment.name / "timestamp.txt").is_file()


def _canvas(path: Path, entries: dict[str, bool], assignment: Assignment) -> list[Submission]:
    files: dict[tuple[str, str], list[re.Match[str]]] = defaultdict(list)
    for name in sorted(entries):
        match = _CANVAS.fullmatch(name)
        assert match
        files[match["name"], match["id"]].append(match)
    return [_canvas_one(path, name, number, own, assignment) for (name, number), own in files.items()]


def _canvas_one(path: Path, name: str, number: str, own: list[re.Match[str]], assignment: Assignment) -> Submission:
    # A file that was handed in again is called toy-1.py; of several the last upload counts, by Canvas's own number.
    stem = re.compile(rf"{re.escape(assignment.name)}(?:-\d+)?\.py")
    fitting = [match for match in own if stem.fullmatch(match["rest"])] or own
    chosen = max(fitting, key=lambda match: int(match["file"]))
    if len(fitting) > 1 and fitting is own:
        return _problem(f"{name}_{number}", f"no {assignment.module} among {len(own)} files", name, "canvas")
    found = intake.take_file(path, chosen.string, f"{name}_{number}", module=assignment.module)
    return intake.stamped(
        found, "canvas", None, late=bool(chosen["late"]), identities={"canvas_id": number}, number=chosen["file"]
    )


def _moodle(path: Path, entries: dict[str, bool], assignment: Assignment) -> list[Submission]:
    taken = []
    for name, folder in entries.items():
        match = _MOODLE.fullmatch(name)
        assert match
        student = f"{match['name']}_{match['id']}"
        if folder:
            found = intake.take(path / name, student, module=assignment.module)
        else:
            found = intake.take_file(path, name, student, module=assignment.module)
        taken.append(
            intake.stamped(found, "moodle", None, identities={"moodle_id": match["id"], "name": match["name"]})
        )
    return taken


def _gradescope(path: Path, entries: dict[str, bool], assignment: Assignment) -> list[Submission]:
    taken = []
    for name, about in _metadata(path / METADATA).items():
        people = [person for person in about.get(":submitters") or [] if isinstance(person, dict)]
        number = name.removeprefix("submission_")
        at = _time(about.get(":created_at"))
        for person in people or [{}]:
            known = {"email": str(person.get(":email") or ""), "sis_id": str(person.get(":sid") or "")}
            student = known["email"] or known["sis_id"] or name
            if entries.get(name):
                found = intake.take(path / name, student, module=assignment.module)
            else:
                found = _problem(student, "its folder is missing from the export", name, "gradescope")
            identities = {key: value for key, value in known.items() if value} | {
                "name": str(person.get(":name") or "")
            }
            taken.append(intake.stamped(found, "gradescope", at, identities=identities, number=number))
    return taken


def _metadata(path: Path) -> dict[str, dict[str, Any]]:
    import yaml  # type: ignore[import-untyped]

    class Plain(yaml.SafeLoader):  # type: ignore[misc]
        """Leaves all values as text."""

        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    try:
        if path.is_symlink() or path.stat().st_size > MAX_METADATA:
            raise LayoutError(f"{path} is a link or larger than {MAX_METADATA // 2**20} MiB")
        # Instructors' own download. Its keys begin with a colon, as Ruby's symbols do.
        read = yaml.load(path.read_text(encoding="utf-8"), Loader=Plain)
        return {str(name): about for name, about in read.items() if isinstance(about, dict)}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, RecursionError) as error:
        raise LayoutError(f"{path} is no metadata of a Gradescope export ({type(error).__name__})") from None


def _time(text: Any) -> datetime | None:
    """Gradescope's `2026-02-28 11:00:00.123456789 -0800` or `… Z`."""
    match = re.match(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)\S* ?(Z|UTC|[-+]\d\d:?\d\d)?$", str(text or "").strip())
    if not match:
        return None
    zone = (match[3] or "Z").replace("UTC", "Z")
    zone = "+00:00" if zone == "Z" else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    return datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").astimezone(UTC)


def _classroom(path: Path, entries: dict[str, bool], assignment: Assignment) -> list[Submission]:
    taken = []
    for name in entries:
        user = name.removeprefix(f"{assignment.name}-")
        found = intake.take(path / name, user, module=assignment.module)
        # Times of commits are the student's own words; the LMS's come with --times.
        taken.append(intake.stamped(found, "classroom", None, identities={"login": user}))
    return taken


def _nbgrader(path: Path, entries: dict[str, bool], assignment: Assignment) -> list[Submission]:
    taken = []
    for name in entries:
        folder = path / name / assignment.name
        found = intake.take(folder, name, module=assignment.module, only_module=True)
        stamp = folder / "timestamp.txt"
        text = ""
        if stamp.is_file() and not stamp.is_symlink() and stamp.stat().st_size < 200:
            text = stamp.read_text(encoding="utf-8", errors="replace")
        taken.append(intake.stamped(found, "nbgrader", _time(text.replace(" UTC", " Z"))))
    return taken


_TAKE = {
    "canvas": _canvas, "moodle": _moodle, "gradescope": _gradescope, "classroom": _classroom, "nbgrader": _nbgrader,
}  # fmt: skip


def _problem(student: str, problem: str, origin: str, layout: str) -> Submission:
    return Submission(intake.printable(student), None, intake.printable(origin), problem, layout=layout)


def with_times(submissions: list[Submission], file: Path | None) -> list[Submission]:
    """The Submissions with the times of a CSV file that has the columns `student` and `submitted_at`.

    A student is named as in the records, or by any identity that the layout found. Raises LayoutError for a line that
    fits nobody: a time that is lost without a word would be a wrong score.
    """
    if file is None:
        return submissions
    try:
        rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""), strict=True))
        times = {row["student"].strip(): datetime.fromisoformat(row["submitted_at"].strip()) for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError, AttributeError) as error:
        raise LayoutError(
            f"{file} is no CSV file with student and submitted_at, such as 2026-02-28T23:59+01:00 ({error})"
        ) from None
    if naive := [student for student, at in times.items() if at.tzinfo is None]:
        raise LayoutError(f"{file}: the time of {naive[0]} has no time zone")
    timed = []
    for submission in submissions:
        names = [submission.student, *submission.identities.values()]
        found = [times.pop(name) for name in dict.fromkeys(names) if name in times]
        at = found[0] if found else submission.submitted_at
        timed.append(msgspec.structs.replace(submission, submitted_at=at, late=submission.late and not found))
    if times:
        raise LayoutError(f"{file} has a time of {next(iter(times))}, who handed in nothing")
    return timed
