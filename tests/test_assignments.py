"""Every assignment of the course keeps the promises that its three folders make to each other."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.course import Assignment, open_course
from autograder.suitefiles import HiddenTest, hidden_tests
from autograder.suites import alternatives_of, bugs_of

COURSE = open_course()
assignments = pytest.mark.parametrize("assignment", COURSE.assignments, ids=lambda assignment: assignment.name)


def suite_of(assignment: Assignment) -> list[HiddenTest]:
    return [test for path in sorted(assignment.suite.glob("test_*.py")) for test in hidden_tests(path)]


@assignments
def test_points_of_the_tests_add_up_to_those_of_the_handout(assignment: Assignment) -> None:
    earned = {part.name: 0 for part in assignment.parts}
    for test in suite_of(assignment):
        earned[test.part] += test.points
    assert earned == {part.name: part.points for part in assignment.parts}
    assert assignment.points == 100


@assignments
def test_names_of_hidden_tests_are_unique(assignment: Assignment) -> None:
    names = [test.name for test in suite_of(assignment)]
    assert len(names) == len(set(names))


@assignments
def test_the_handout_names_every_part_with_its_points(assignment: Assignment) -> None:
    text = (assignment.folder / "README.md").read_text(encoding="utf-8")
    for part in assignment.parts:
        rows = [line for line in text.splitlines() if line.startswith("|") and f"`{part.name}`" in line]
        assert any(f"| {part.points} |" in row for row in rows), (
            f"no row of a table gives {part.name} {part.points} points"
        )


@assignments
def test_every_part_has_a_public_property_and_two_planted_bugs(assignment: Assignment) -> None:
    public = {test.part for test in hidden_tests(assignment.public_tests)}
    bugs = [bug.part for bug in bugs_of(assignment)]
    for part in assignment.parts:
        assert part.name in public
        assert bugs.count(part.name) >= 2


@assignments
def test_every_planted_bug_still_fits_the_reference_and_parses(assignment: Assignment) -> None:
    reference = assignment.solution.read_text(encoding="utf-8")
    named = {test.name for test in suite_of(assignment)}
    for bug in bugs_of(assignment):
        planted = bug.plant(reference)
        ast.parse(planted)
        assert planted != reference
        assert bug.killed_by in named
        assert bug.hint.endswith(".")


@assignments
def test_there_are_two_whole_alternatives(assignment: Assignment) -> None:
    assert len(alternatives_of(assignment)) >= 2


@assignments
def test_a_stub_imports_and_keeps_every_docstring(assignment: Assignment) -> None:
    stub = ast.parse((assignment.folder / assignment.module).read_text(encoding="utf-8"))
    public = [
        node for node in stub.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert public
    assert [node.name for node in public if not ast.get_docstring(node)] == []
    namespace: dict[str, object] = {"__name__": assignment.name}
    module = type(sys)(assignment.name)
    sys.modules[assignment.name] = module
    try:
        exec(compile(stub, assignment.module, "exec"), module.__dict__ | namespace)
    finally:
        del sys.modules[assignment.name]


def run_beside_solution(assignment: Assignment, arguments: list[str], folder: Path, seconds: int) -> str:
    """Run a command where the student's file is the reference; its output."""
    for path in [*assignment.folder.iterdir(), assignment.solution]:
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    return done.stdout


@pytest.mark.full
@assignments
def test_the_quick_experiment_saves_its_pictures(assignment: Assignment, tmp_path: Path) -> None:
    run_beside_solution(assignment, ["experiment.py", "--quick", "--out", "pictures"], tmp_path, 240)
    assert list((tmp_path / "pictures").glob("*.png"))


@assignments
def test_a_handout_says_what_to_look_for_in_the_experiment(assignment: Assignment) -> None:
    handout = (assignment.folder / "README.md").read_text(encoding="utf-8")
    _, _, experiment = handout.partition("\n## The experiment\n")
    assert len(experiment.partition("\n## ")[0].split()) > 100


@pytest.mark.full
@assignments
def test_the_lab_sheet_runs_from_top_to_bottom(assignment: Assignment, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    sheet = nbformat.read(assignment.folder / f"{assignment.name}.ipynb", as_version=4)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in sheet.cells)
    (tmp_path / assignment.module).write_bytes(assignment.solution.read_bytes())
    NotebookClient(sheet, timeout=180, resources={"metadata": {"path": str(tmp_path)}}).execute()
