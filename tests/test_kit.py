"""The students' kit works by itself and holds nothing hidden."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder import kit
from autograder.course import open_course
from autograder.stubs import BEGIN, END
from autograder.suitefiles import hidden_tests
from autograder.suites import bugs_of

COURSE = open_course()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("kit") / "kit"
    kit.release(COURSE, list(COURSE.assignments), destination)
    return destination


def texts(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}


def hidden_lines() -> set[str]:
    """Lines that only a solution, a hidden test or a planted bug has."""
    lines: set[str] = set()
    for assignment in COURSE.assignments:
        solution = assignment.solution.read_text(encoding="utf-8")
        for region in re.findall(rf"{re.escape(BEGIN)}\n(.*?)\n *{re.escape(END)}", solution, re.DOTALL):
            lines |= {line.strip() for line in region.splitlines()}
        lines |= {bug.hint for bug in bugs_of(assignment)} | {f'"{bug.name}"' for bug in bugs_of(assignment)}
        for path in assignment.suite.glob("test_*.py"):
            lines |= {f"def {test.name}(" for test in hidden_tests(path)}
    return {line for line in lines if len(line) > 40 or line.startswith(("def ", '"'))}


def test_holds_no_line_of_a_solution_a_hidden_test_or_a_planted_bug(folder: Path) -> None:
    public = "\n".join(texts(folder).values())
    # A public test may carry its own oracle, and a handout its own formula; both are in assignments/ for all to see.
    shown = "\n".join(
        p.read_text(encoding="utf-8") for a in COURSE.assignments for p in a.folder.iterdir() if p.is_file()
    )
    assert [line for line in hidden_lines() if line in public and line not in shown] == []


def test_holds_no_folder_that_only_instructors_have(folder: Path) -> None:
    names = {part for path in folder.rglob("*") for part in path.relative_to(folder).parts}
    assert not names & {"suites", "solutions", "lms", "__pycache__", ".git", "records.py", "diagnosis.py", "server.py"}


def test_names_no_key_and_needs_no_lms_code(folder: Path) -> None:
    everything = texts(folder)
    assert "nbgrader" not in everything["pyproject.toml"]
    assert not [name for name, text in everything.items() if "DEMO_KEY" in text]


def test_every_module_of_the_kit_imports_only_what_the_kit_has(folder: Path) -> None:
    script = (
        "import sys; sys.path[:0] = [sys.argv[1]]; import autograder, importlib, pkgutil\n"
        "assert autograder.__path__[0].startswith(sys.argv[1])\n"
        "for m in pkgutil.walk_packages(autograder.__path__, 'autograder.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]


def test_check_in_the_kit_finds_the_first_thing_to_fix(folder: Path) -> None:
    name = COURSE.assignments[0].name
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path[:0] = [sys.argv.pop(1)]; from autograder.cli import main; main()",
         str(folder), "check", name],
        capture_output=True, text=True, cwd=folder, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-2000:]
    assert "not written yet" in done.stdout


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(kit.KitError, match="not an empty folder"):
        kit.release(COURSE, list(COURSE.assignments), tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.mark.full
def test_the_kit_builds_a_wheel_with_its_assignments_and_nothing_hidden(folder: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(folder)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        text = "\n".join(archive.read(name).decode("utf-8", "replace") for name in names)
    assert "autograder/_course/assignments/course.toml" in names
    assert BEGIN not in "".join(text.split("BEGIN = ")[:1])
    assert not any("suites" in name or "solutions" in name for name in names)
