"""Bulk downloads of an LMS, recognised as they are: which file is whose, and when it was handed in.

    plain       alice.py, alice/toy.py                              (see `intake`)
    canvas      doejane_12345_678901_toy-1.py, doejane_LATE_12345_678901_toy.py
    moodle      Jane Doe_12345_assignsubmission_file/toy.py
    gradescope  submission_metadata.yml and submission_123456/toy.py
    classroom   <assignment>-<user>/.git and toy.py                 (GitHub Classroom's clones)
    nbgrader    <student>/<assignment>/toy.py and timestamp.txt     (its submitted/)

A layout is recognised only where every entry fits it (nbgrader's where most folders have a time in them); where a
person names one with `--layout`, what fits is taken and the rest is named. What was taken for whose is shown before
grading and kept in the ledger. Students choose the names of their files, and on some sites their own: an entry that
can be read as two people's is nobody's. All reading is intake's, so all its rules hold here too.
"""

from __future__ import annotations

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

_CANVAS = re.compile(r"(?P<name>.+?)(?P<late>_LATE)?_(?P<id>[0-9]+)_(?P<file>[0-9]+)_(?P<rest>.+)")
_MOODLE = re.compile(r"(?P<name>.+)_(?P<id>[0-9]+)_assignsubmission_file")
# The LMS writes this once into each name; a second one is somebody's own, and nothing says which.
_SIGNS = {
    "canvas": re.compile(r"(?=(_[0-9]+_[0-9]+_))"),
    "moodle": re.compile(r"(?=(_[0-9]+_assignsubmission_))"),
}
# What students typed into the LMS; it packs that beside their files.
_TYPED = {
    "canvas": re.compile(r".+_[0-9]+_(text|link)\.html"),
    "moodle": re.compile(r".+_[0-9]+_assignsubmission_onlinetext.*"),
}
_SHAPES = {
    "canvas": "name_123_456_file", "moodle": "Name_123_assignsubmission_file", "gradescope": METADATA,
    "classroom": "{0}-<login>/ with its .git", "nbgrader": "<student>/{0}/",
}  # fmt: skip


class LayoutError(Exception):
    """The folder is not what it is said to be. One line for a person."""

    exit_code = 2


class Taken(msgspec.Struct, frozen=True):
    """A folder, understood: its layout, the Submissions in it, and a line on the entries that were left out, or ""."""

    layout: str
    submissions: list[Submission]
    left_out: str = ""


def take_in(path: Path, assignment: Assignment, layout: str = "") -> Taken:
    """What was handed in at `path`. Raises LayoutError, and IntakeError as `intake` does."""
    if layout and layout not in LAYOUTS:
        raise LayoutError(f"--layout is one of {', '.join(LAYOUTS)}, not {layout!r}")
    found = entries(path)
    chosen = layout or recognise(path, found, assignment)
    if chosen == "plain":
        return Taken(chosen, list(intake.intake(path, module=assignment.module)))
    fitting = {name: folder for name, folder in found.items() if _is_of(chosen, path, name, folder, assignment)}
    shape = _SHAPES[chosen].format(assignment.name)
    if not fitting:
        raise LayoutError(
            f"{path} is not laid out as {chosen}, nothing in it is {shape}: see the layouts in "
            "autograder/lms/README.md, or leave --layout out"
        )
    if chosen == "gradescope":  # its metadata says which entries are submissions
        fitting = found
    taken = sorted(_TAKE[chosen](path, fitting, assignment), key=lambda s: (s.student, s.origin))
    others = sorted(found.keys() - fitting.keys())
    return Taken(chosen, taken, f"left out, being no {shape}: {'; '.join(others)}" if others else "")


def untimed(submissions: list[Submission]) -> list[str]:
    """Where the submissions lie of which an LMS that writes down times has said none that can be read."""
    graded = [one for one in submissions if one.source is not None]
    return [one.origin for one in graded if one.layout in ("gradescope", "nbgrader") and one.submitted_at is None]


def recognise(path: Path, found: dict[str, bool], assignment: Assignment) -> str:
    """The layout that a folder fits; plain where there is none."""
    return next((name for name in LAYOUTS[1:] if _fits(name, path, found, assignment)), "plain")


def resembled(path: Path, assignment: Assignment) -> str:
    """Of a folder that was taken as plain: the layout that some of its entries fit, or "".

    One stray file makes a whole download plain, and then every name in it is taken for a student's.
    """
    found = entries(path)
    if any(_timed(path / name / assignment.name) for name in found):
        return "nbgrader"
    # A folder in a folder may also be a plain submission.
    likely = (name for name in LAYOUTS[1:-1] if any(_is_of(name, path, *entry, assignment) for entry in found.items()))
    return next(likely, "")


def entries(path: Path) -> dict[str, bool]:
    """Names in a folder, and whether each is a folder itself and no link to one."""
    if not path.is_dir():
        return {}
    with os.scandir(path) as found:
        return {e.name: e.is_dir(follow_symlinks=False) for e in found if e.name not in NOT_HANDED_IN}


def _fits(layout: str, path: Path, found: dict[str, bool], assignment: Assignment) -> bool:
    """Whether a folder is this layout's, where nobody said so."""
    fitting = [name for name, folder in found.items() if _is_of(layout, path, name, folder, assignment)]
    if layout == "nbgrader":
        # Not everybody hands in everything, and a time may be missing. No student can make it so alone.
        timed = [name for name, folder in found.items() if folder and any((path / name).glob("*/timestamp.txt"))]
        return bool(fitting) and all(found.values()) and 2 * len(timed) > len(found)
    if layout == "gradescope":
        return bool(fitting)
    typed = [name for name in found if layout in _TYPED and _TYPED[layout].fullmatch(name)]
    return bool(fitting) and found.keys() == {*fitting, *typed}


def _timed(folder: Path) -> bool:
    return (folder / "timestamp.txt").is_file()


def _is_of(layout: str, path: Path, name: str, folder: bool, assignment: Assignment) -> bool:
    """Whether one entry is a submission as this layout has them."""
    if layout == "gradescope":
        return name == METADATA
    if layout == "canvas":
        return not folder and bool(_CANVAS.fullmatch(name))
    if layout == "moodle":
        return bool(_MOODLE.match(name))
    if layout == "classroom":
        begins = f"{assignment.name}-"
        return folder and name.startswith(begins) and name != begins and (path / name / ".git").exists()
    inside = path / name / assignment.name
    return folder and inside.is_dir() and not inside.is_symlink()


def _doubt(layout: str, name: str) -> str:
    """Why an entry could be two people's, or ""."""
    signs = _SIGNS[layout].findall(name)
    return f"could be two people's: its name has {signs[0]} and {signs[1]}; rename it" if len(signs) > 1 else ""


def _canvas(path: Path, found: dict[str, bool], assignment: Assignment) -> list[Submission]:
    taken = []
    files: dict[tuple[str, str], list[re.Match[str]]] = defaultdict(list)
    for name in sorted(found):
        match = _CANVAS.fullmatch(name)
        assert match
        if doubt := _doubt("canvas", name):
            taken.append(_problem(name, doubt, name, "canvas"))
        else:
            files[match["name"], match["id"]].append(match)
    return taken + [_canvas_one(path, name, number, own, assignment) for (name, number), own in files.items()]


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


def _moodle(path: Path, found: dict[str, bool], assignment: Assignment) -> list[Submission]:
    taken = []
    whose: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in found:
        match = _MOODLE.match(name)
        assert match
        if doubt := _doubt("moodle", name):
            taken.append(_problem(name, doubt, name, "moodle"))
        else:
            whose[match["name"], match["id"]].append(name)
    for (name, number), own in whose.items():
        # Where the download has no folders, each of a student's files is an entry.
        student, files = f"{name}_{number}", {_MOODLE.sub("", file).lstrip("_"): file for file in own}
        if len(own) == 1 and found[own[0]]:
            one = intake.take(path / own[0], student, module=assignment.module)
        elif len(own) == 1 or (chosen := intake.meant(list(files), assignment.module)) in files:
            one = intake.take_file(path, own[0] if len(own) == 1 else files[chosen], student, module=assignment.module)
        else:
            one = _problem(student, chosen, own[0], "moodle")
        taken.append(intake.stamped(one, "moodle", None, identities={"moodle_id": number, "name": name}))
    return taken


def _gradescope(path: Path, found: dict[str, bool], assignment: Assignment) -> list[Submission]:
    metadata = _metadata(path / METADATA)
    strangers = found.keys() - metadata.keys() - {METADATA}
    taken = [_problem(name, f"not in {METADATA}, so nobody's", name, "gradescope") for name in strangers]
    for name, about in metadata.items():
        people = [person for person in about.get(":submitters") or [] if isinstance(person, dict)]
        number = name.removeprefix("submission_")
        at = _time(about.get(":created_at"))
        for person in people or [{}]:
            known = {"email": str(person.get(":email") or ""), "sis_id": str(person.get(":sid") or "")}
            student = known["email"] or known["sis_id"] or name
            if found.get(name):
                own = intake.take(path / name, student, module=assignment.module)
            else:
                own = _problem(student, "its folder is missing from the export", name, "gradescope")
            identities = {key: value for key, value in known.items() if value} | {
                "name": str(person.get(":name") or "")
            }
            taken.append(intake.stamped(own, "gradescope", at, identities=identities, number=number))
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
        if not read.items():
            raise LayoutError(f"{path} names no submission: export the submissions again")
        return {str(name): about if isinstance(about, dict) else {} for name, about in read.items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, RecursionError) as error:
        raise LayoutError(f"{path} is no metadata of a Gradescope export ({type(error).__name__})") from None


def _time(text: Any) -> datetime | None:
    """Gradescope's `2026-02-28 11:00:00.123456789 -0800` or `… Z`; None where it is no time."""
    match = re.match(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)\S* ?(Z|UTC|[-+]\d\d:?\d\d)?$", str(text or "").strip())
    if not match:
        return None
    zone = (match[3] or "Z").replace("UTC", "Z")
    zone = "+00:00" if zone == "Z" else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _classroom(path: Path, found: dict[str, bool], assignment: Assignment) -> list[Submission]:
    taken = []
    for name in found:
        user = name.removeprefix(f"{assignment.name}-")
        own = intake.take(path / name, user, module=assignment.module)
        # Times of commits are the student's own words; the LMS's come with --times.
        taken.append(intake.stamped(own, "classroom", None, identities={"login": user}))
    return taken


def _nbgrader(path: Path, found: dict[str, bool], assignment: Assignment) -> list[Submission]:
    taken = []
    for name in found:
        folder = path / name / assignment.name
        own = intake.take(folder, name, module=assignment.module, only_module=True)
        stamp = folder / "timestamp.txt"
        text = ""
        if stamp.is_file() and not stamp.is_symlink() and stamp.stat().st_size < 200:
            text = stamp.read_text(encoding="utf-8", errors="replace")
        origin = f"{intake.printable(name)}/{own.origin}"
        taken.append(intake.stamped(own, "nbgrader", _time(text.replace(" UTC", " Z")), origin=origin))
    return taken


_TAKE = {
    "canvas": _canvas, "moodle": _moodle, "gradescope": _gradescope, "classroom": _classroom, "nbgrader": _nbgrader,
}  # fmt: skip


def _problem(student: str, problem: str, origin: str, layout: str) -> Submission:
    return Submission(intake.printable(student), None, intake.printable(origin), problem, layout=layout)
