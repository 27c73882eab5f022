"""What is taught and what it is worth: a course, its assignments, their parts.

A course is three trees with one folder name an assignment: `assignments/` (what students receive), `solutions/`
(the same, filled in) and suites (hidden tests). The packaged course lies in a checkout beside this package, or inside
the wheel under `_course/`; `--course DIR` names another one. Nothing here runs or parses a submission.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")
PACKAGE = Path(__file__).resolve().parent
Percent = Annotated[float, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0)]
Minutes = Annotated[float, Meta(ge=0, le=366 * 24 * 60)]  # a year at most, so that it is a number
Hours = Annotated[float, Meta(gt=0, le=366 * 24)]


class CourseError(Exception):
    """The course cannot be read. The message is one line for a person: what, where, what to do."""

    exit_code = 2


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one submission may use. Times are wall-clock seconds."""

    call_seconds: float = 10.0
    test_seconds: float = 60.0
    submission_seconds: float = 600.0
    memory_mebibytes: int = 2048
    threads: int = 32
    file_mebibytes: int = 64
    output_kibibytes: int = 8


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A graded piece of an assignment, with a title that the handout uses too."""

    name: str
    title: str
    points: int
    requires: tuple[str, ...] = ()
    difficulty: Literal["easy", "medium", "hard"] = "medium"
    importance: Literal["core", "useful", "bonus"] = "core"
    minutes: int = 15


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that a person grades: a written answer, or a picture with what it shows. For notebooks alone."""

    name: str
    title: str
    text: str  # Markdown
    points: int
    kind: Literal["written", "plot"] = "written"


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of several attempts, and of late ones. `policy.py` says how the fields work together."""

    counts: Literal["last", "best", "best_on_time"] = "last"
    grace_minutes: Minutes = 0
    late_days: Count = 0  # a bank for the whole course: whole days that cost nothing
    percent_per_day: Percent = 0  # of the score, for each late day that is not from the bank
    cap_percent: Percent = 100  # the most that lateness takes


class FeedbackPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a hidden result students see, when, and how often."""

    detail: Literal["counterexamples", "reasons", "scores"] = "counterexamples"
    visible: Literal["now", "after_due", "after_published"] = "now"
    tokens: Count = 0  # hidden results that can be seen at once; 0: as often as one likes
    hours_per_token: Hours = 24  # how long until one that was used has grown back


class AssignmentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`assignment.toml` as it is written."""

    title: str
    parts: tuple[Part, ...]
    runtime: tuple[str, ...] = ("torch",)
    flagged: tuple[str, ...] = ()  # dotted names that do the work: a submission that uses one is shown to a person
    limits: Limits = Limits()
    questions: tuple[Question, ...] = ()


class CourseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`course.toml` as it is written."""

    id: str
    title: str
    assignments: tuple[str, ...]
    due: dict[str, datetime] = {}
    policy: Policy = Policy()
    feedback: FeedbackPolicy = FeedbackPolicy()


class Assignment(msgspec.Struct, frozen=True):
    """One assignment: its parts, and where its three folders are. A student's kit has neither solution nor suite."""

    name: str
    title: str
    parts: tuple[Part, ...]
    runtime: tuple[str, ...]
    flagged: tuple[str, ...]
    limits: Limits
    folder: Path
    solution: Path
    suite: Path
    questions: tuple[Question, ...] = ()

    @property
    def module(self) -> str:
        """The file that a student hands in."""
        return f"{self.name}.py"

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)

    @property
    def public_tests(self) -> Path:
        return self.folder / f"test_{self.name}.py"

    def part(self, name: str) -> Part:
        for part in self.parts:
            if part.name == name:
                return part
        raise CourseError(f"{self.name} has no part {name!r}; its parts are {', '.join(p.name for p in self.parts)}")


class Course(msgspec.Struct, frozen=True):
    """A course: an id, a title, and assignments in the order in which they are taught."""

    id: str
    title: str
    root: Path
    suites: Path
    assignments: tuple[Assignment, ...]
    due: dict[str, datetime] = {}
    policy: Policy = Policy()
    feedback: FeedbackPolicy = FeedbackPolicy()

    def assignment(self, name: str) -> Assignment:
        """The assignment of this name. One that `course.toml` does not list yet, a draft, can be named too."""
        for assignment in self.assignments:
            if assignment.name == name:
                return assignment
        if name.isidentifier() and (self.root / "assignments" / name / "assignment.toml").is_file():
            return _assignment(name, self.root, self.suites)
        known = ", ".join(a.name for a in self.assignments)
        raise CourseError(f"no assignment is called {name!r}; this course has: {known}")


def open_course(folder: Path | None = None) -> Course:
    """Read the packaged course, or the one in `folder` (which then holds `assignments/`, `solutions/`, `suites/`)."""
    if folder is None:
        inside = PACKAGE / "_course"
        root = inside if inside.is_dir() else PACKAGE.parent
        suites = PACKAGE / "suites"
    else:
        root = folder.resolve()
        suites = root / "suites"
    path = root / "assignments" / "course.toml"
    declared = _read(path, CourseFile)
    if doubled := [name for name in declared.assignments if declared.assignments.count(name) > 1]:
        raise CourseError(f"{path}: assignments has {doubled[0]!r} twice; leave one")
    assignments = tuple(_assignment(name, root, suites) for name in declared.assignments)
    for name, due in declared.due.items():
        if not (root / "assignments" / name).is_dir():
            raise CourseError(f"{path}: due.{name} names no assignment")
        if due.tzinfo is None:
            raise CourseError(
                f"{path}: due.{name} has no time zone; write {due.isoformat()}Z or {due.isoformat()}+01:00"
            )
    return Course(
        declared.id, declared.title, root, suites, assignments, declared.due, declared.policy, declared.feedback
    )


def _assignment(name: str, root: Path, suites: Path) -> Assignment:
    folder = root / "assignments" / name
    declared = _read(folder / "assignment.toml", AssignmentFile)
    names = [part.name for part in declared.parts] + [question.name for question in declared.questions]
    if len(set(names)) < len(names):
        raise CourseError(f"{folder / 'assignment.toml'}: two parts or questions have the same name")
    for position, part in enumerate(declared.parts):
        for needed in part.requires:
            if needed not in names[:position]:
                raise CourseError(
                    f"{folder / 'assignment.toml'}: part {part.name} requires {needed!r}, which is no part above it"
                )
    return Assignment(
        name=name,
        title=declared.title,
        parts=declared.parts,
        runtime=declared.runtime,
        flagged=declared.flagged,
        limits=declared.limits,
        folder=folder,
        solution=root / "solutions" / name / f"{name}.py",
        suite=suites / name,
        questions=declared.questions,
    )


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8-sig")), kind)
    except FileNotFoundError:
        raise CourseError(f"{path} does not exist; is this the folder of a course?") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CourseError(f"{path}: {error}") from None
