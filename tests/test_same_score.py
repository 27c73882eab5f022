"""A checkout and an installed wheel ask the same questions and give the same score."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toyclass import COURSE

ROOT = Path(__file__).parents[1]

# Grades two submissions in a process that has only one of the two, and says what was asked and what came of it.
PROGRAM = """
import hashlib, json, sys
from pathlib import Path
import msgspec, torch
import autograder
from autograder.course import open_course
from autograder.judge.grading import Plan, grade
from autograder.judge.session import LocalConnection

torch.set_num_threads(1)
asked = hashlib.sha256()

class Overheard(LocalConnection):
    def exchange(self, question, buffers, seconds):
        asked.update(msgspec.msgpack.encode([question.operation, [bytes(buffer) for buffer in buffers]]))
        return super().exchange(question, buffers, seconds)

def graded(course, name, edit, only):
    assignment = open_course(course).assignment(name)
    source = assignment.solution.read_text(encoding="utf-8").replace(*edit)
    plan = Plan(assignment, source.encode(), lambda limits: Overheard(), seed=b"seed", only=only)
    outcomes = [msgspec.structs.replace(outcome, seconds=0.0) for outcome in grade(plan)]
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]
    return msgspec.to_builtins(outcomes)

print(json.dumps({
    "where": autograder.__file__,
    "toy": graded(Path(sys.argv[1]), "toy", ("return found", "return found[1:]"), ()),
    "attention": graded(None, "attention", ("/ weights.sum(", "/ (1e-3 + weights).sum("), json.loads(sys.argv[2])),
    "asked": asked.hexdigest(),
}))
"""
SOFTMAX = [
    "test_matches_the_definition_along_every_dimension",
    "test_extreme_inputs_stay_finite",
    "test_an_entry_of_minus_infinity_gets_weight_zero",
]


def graded(path: Path, folder: Path) -> dict[str, Any]:
    """What the program says with the package that lies in `path`."""
    environment = os.environ | {"PYTHONPATH": str(path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", PROGRAM, str(COURSE), json.dumps(SOFTMAX)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert Path(said.pop("where")).is_relative_to(path)
    return said


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the package, as pip installs it."""
    made, place = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("environment") / "site-packages"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = made.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*install, "--target", str(place), str(wheel)], check=True, capture_output=True)
    return place


def test_a_checkout_and_a_wheel_draw_the_same_inputs_and_give_the_same_outcomes(
    installed: Path, tmp_path: Path
) -> None:
    wheel, checkout = graded(installed, tmp_path), graded(ROOT, tmp_path)
    assert wheel == checkout
    assert {outcome["status"] for outcome in checkout["toy"]} == {"passed", "failed", "skipped"}
    assert "failed" in {outcome["status"] for outcome in checkout["attention"]}


def test_an_installed_package_brings_its_course(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} <= {"autograder", "bin"}
    course = installed / "autograder" / "_course"
    assert (course / "assignments" / "course.toml").read_bytes() == (ROOT / "assignments" / "course.toml").read_bytes()
    assert (course / "solutions" / "attention" / "attention.py").is_file()
