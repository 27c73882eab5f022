"""What students receive: the assignments, and an autograder that can check them and knows nothing hidden.

The kit is built from a list of what goes in, never by leaving things out: a file that nobody thought of stays here.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

from autograder.course import PACKAGE, Assignment, Course
from autograder.stubs import stub

# Of this package, for the student's own check. Hidden suites, planted bugs, diagnosis by them, judging of others,
# records and the LMS are not here.
FILES = (
    "__init__.py", "__main__.py", "course.py", "lab.py", "wire.py", "worker.py", "watch.py", "outcome.py",
    "likeness.py",
    "cli/__init__.py", "cli/check.py", "cli/choices.py", "cli/doctor.py",
    "judge/__init__.py", "judge/checks.py", "judge/connect.py", "judge/draws.py", "judge/grading.py",
    "judge/misconceptions.py", "judge/proxies.py", "judge/race.py", "judge/session.py", "judge/show.py",
    "judge/suite.py", "judge/trial.py",
    "reports/__init__.py", "reports/escape.py", "reports/failure.py", "reports/source.py", "reports/tensors.py",
)  # fmt: skip
FOLDERS = ("given", "sandbox")
INSTRUCTORS_ONLY = ("nbgrader", "jinja2")
HANDED_OUT = (".py", ".md", ".toml", ".ipynb")


class KitError(Exception):
    """The kit cannot be made. One line for a person."""

    exit_code = 2


def release(course: Course, chosen: list[Assignment], destination: Path) -> list[Path]:
    """Write the kit into a folder that is new or empty; the paths of its files."""
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise KitError(f"{destination} is not an empty folder; name a new one")
    for assignment in chosen:
        _refuse_hidden(assignment)
    written = []
    try:
        for name in FILES:
            written.append(_copy(PACKAGE / name, destination / "autograder" / name))
        for folder in FOLDERS:
            for path in sorted((PACKAGE / folder).rglob("*.py")):
                written.append(_copy(path, destination / "autograder" / path.relative_to(PACKAGE)))
        for assignment in chosen:
            for path in sorted(assignment.folder.iterdir()):
                if path.is_file() and path.suffix in HANDED_OUT:
                    written.append(_copy(path, destination / "assignments" / assignment.name / path.name))
        for name, text in _made(course, chosen).items():
            path = destination / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise KitError(f"cannot write {destination}: {error.strerror}") from None
    return written


def _refuse_hidden(assignment: Assignment) -> None:
    """A stub that is not what its solution makes may hold the solution."""
    handed_out = (assignment.folder / assignment.module).read_bytes()
    if assignment.solution.exists() and handed_out != stub(assignment.solution.read_text(encoding="utf-8")).encode():
        raise KitError(
            f"{assignment.folder / assignment.module} is not what its solution makes; run `autograder release --stubs`"
        )


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, target))


def _made(course: Course, chosen: list[Assignment]) -> dict[str, str]:
    names = ", ".join(f'"{assignment.name}"' for assignment in chosen)
    needs = [need for need in importlib.metadata.requires("llm-assignments") or [] if "extra ==" not in need]
    kept = sorted(need for need in needs if not need.lower().startswith(INSTRUCTORS_ONLY))
    dependencies = "".join(f'    "{need}",\n' for need in kept)
    rows = "".join(f"| `{a.name}` | {a.title} | {a.points} |\n" for a in chosen)
    return {
        "assignments/course.toml": f'id = "{course.id}"\ntitle = "{course.title}"\nassignments = [{names}]\n',
        "pyproject.toml": _PYPROJECT.format(
            version=importlib.metadata.version("llm-assignments"), dependencies=dependencies
        ),
        "README.md": _README.format(title=course.title, rows=rows, first=chosen[0].name),
    }


_PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "llm-assignments-kit"
version = "{version}"
description = "Assignments from byte-pair encoding to a reward model, and the command that checks your solutions"
readme = "README.md"
requires-python = ">=3.11"
dependencies = [
{dependencies}]

[project.scripts]
autograder = "autograder.cli:main"

[tool.hatch.build.targets.wheel]
only-include = ["autograder", "assignments"]

[tool.hatch.build.targets.wheel.sources]
"assignments" = "autograder/_course/assignments"
"""

_README = """\
# {title}

Install once, in a virtual environment of Python 3.11 or newer:

    python3 -m venv .venv
    .venv/bin/pip install .          # on Windows: .venv\\\\Scripts\\\\pip install .

Then, for each assignment: read `assignments/<name>/README.md`, fill in the functions of `assignments/<name>/<name>.py`,
and check them:

    .venv/bin/autograder check {first}           # the first thing to fix
    .venv/bin/autograder check {first} --all     # everything
    .venv/bin/autograder check {first} --watch   # again whenever you save

A check says which property fails, on the smallest input that breaks it, what your code returned there, and what was
expected. Your grade comes from more tests of the same properties, on inputs that nobody can know beforehand.

| assignment | title | points |
|---|---|---|
{rows}
Hand in the one file `<name>.py`.
"""
