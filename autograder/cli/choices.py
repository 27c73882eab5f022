"""What every grading command decides before it starts: the course, the key, the level of containment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autograder.course import Assignment, Course
    from autograder.executors import Isolation
    from autograder.records import Key

CourseFolder = Annotated[
    Path | None, typer.Option("--course", metavar="DIR", help="Another course than the packaged one.")
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", metavar="FILE", help="The course key; else AUTOGRADER_COURSE_KEY holds it.")
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Submissions graded at the same time.")]
IsolationName = Annotated[
    str, typer.Option("--isolation", help="zygote: workers forked in 30 ms. fresh: new interpreters.")
]
UnsafeAllow = Annotated[
    str, typer.Option("--unsafe-allow", metavar="LEVEL", help="Accept a level below landlock: code runs uncontained.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")]


CONTAINED = ("full", "landlock")  # levels at which a submission of somebody else may run
DEFAULT_JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class UsageError(Exception):
    """The command line asks for something that is not there. One line for a person."""

    exit_code = 2


def course(folder: Path | None) -> Course:
    from autograder.course import open_course

    return open_course(folder)


def folder(course: Path | None) -> str:
    """The folder of another course as judges are told it, "" for the packaged one."""
    return str(course.resolve()) if course else ""


def assignments(own: Course, name: str | None, everything: bool) -> list[Assignment]:
    """The named assignment, or all of the course's."""
    if everything == (name is not None):
        raise UsageError("name one assignment, or say --all")
    return list(own.assignments) if everything else [own.assignment(name or "")]


def key(file: Path | None) -> Key:
    """The course key. There is no default: scores under a key that everybody knows can be predicted."""
    from autograder.records import Key

    if file is not None:
        try:
            secret = file.read_bytes().strip()
        except OSError as error:
            raise UsageError(f"cannot read the course key {file}: {error.strerror}") from None
    else:
        secret = os.environ.get("AUTOGRADER_COURSE_KEY", "").encode().strip()
    if not secret:
        raise UsageError(
            "no course key: set AUTOGRADER_COURSE_KEY or give --key-file FILE "
            "(any secret text, kept for the whole course: it decides which inputs the hidden tests draw)"
        )
    if len(secret) < 8:
        raise UsageError("the course key is too short to be a secret: use 8 bytes or more")
    return Key(secret)


def level(unsafe_allow: str, device: str = "cpu") -> str:
    """The strongest level that this machine holds, refused below landlock unless it is allowed by name."""
    from autograder import sandbox

    if device != "cpu":
        return _gpu_level(unsafe_allow, device)
    best = sandbox.probe().best
    if best in CONTAINED or unsafe_allow == best:
        return best
    raise sandbox.SandboxError(
        f"this machine can only run submissions at level {best}, which contains nothing: they can do what you can. "
        f"`autograder doctor` says how to get more; --unsafe-allow {best} goes on without."
    )


def _gpu_level(unsafe_allow: str, device: str) -> str:
    """Level gpu, which has to be asked for twice: the driver and every system call are open to what runs there."""
    from autograder import sandbox

    if device != "cuda":
        raise UsageError(f"--device is cpu or cuda, not {device!r}")
    if unsafe_allow != "gpu":
        raise sandbox.SandboxError(
            "on a GPU submissions run at level gpu, which keeps files from them and little else: "
            "use a machine without secrets and say --unsafe-allow gpu, or grade with --device cpu"
        )
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        raise sandbox.SandboxError("this machine has no NVIDIA device (/dev/nvidia0): grade with --device cpu")
    return "gpu"


def isolation(name: str) -> Isolation:
    if name == "zygote":
        return "zygote"
    if name == "fresh":
        return "fresh"
    raise UsageError(f"--isolation is zygote or fresh, not {name!r}")
