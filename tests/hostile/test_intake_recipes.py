"""What is no plain file: each entry comes out with its reason, and nothing is written anywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hostile_machine import of_workers
from hostile_run import environment
from intake_recipes import RECIPES
from toyclass import COURSE, SOLUTION

from autograder import records
from autograder.intake import Submission, intake

ELSEWHERE = "elsewhere.py"


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    folder = tmp_path / "handed in"
    folder.mkdir()
    for own in RECIPES:
        own.make(folder)
    (folder / "a neighbour.py").write_text(SOLUTION, encoding="utf-8")
    return folder


def entries_of(own_name: str, found: list[Submission]) -> list[Submission]:
    return [s for s in found if own_name in s.origin.lower() and not (own_name == "pipe" and "folder" in s.origin)]


def files_below(folder: Path) -> set[str]:
    return {os.path.join(place, name) for place, _, names in os.walk(os.fsencode(folder)) for name in names}


def test_every_input_has_its_reason_and_is_read_and_nothing_more(handed_in: Path) -> None:
    before, began = files_below(handed_in.parent), time.process_time()
    found = list(intake(handed_in, module="toy.py"))
    assert time.process_time() - began < 20
    wrong = []
    for own in RECIPES:
        for submission in entries_of(own.name, found) or [None]:
            said = "is missing" if submission is None else submission.problem
            if own.problem.startswith("graded") and submission is not None:
                note = own.problem.partition(": ")[2]
                if said or (not any(note in other for other in submission.notes) and note):
                    wrong.append((own.name, said, submission.notes))
            elif not re.match(own.problem, said):
                wrong.append((own.name, said))
    assert wrong == []
    assert files_below(handed_in.parent) == before
    assert all((s.student + s.origin + s.problem).isprintable() for s in found)


def test_no_two_inputs_claim_the_same() -> None:
    assert len({own.attempt for own in RECIPES}) == len({own.name for own in RECIPES}) == len(RECIPES)


@pytest.mark.full
@pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")
def test_graded_by_the_command_each_is_one_record_and_the_neighbour_keeps_its_points(
    handed_in: Path, tmp_path: Path
) -> None:
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    before = files_below(tmp_path)
    command = [sys.executable, "-m", "autograder", "grade", "toy", str(handed_in), "--course", str(COURSE)]
    done = subprocess.run(
        [*command, "--out", str(out)], env=environment("full", temporary), cwd=temporary, capture_output=True,
        timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    said = (done.stdout + done.stderr).decode("utf-8", "surrogateescape")
    assert all(line.isprintable() and not line.lstrip().startswith("::") for line in said.splitlines())
    graded = list(records.read_all(out))
    assert len(graded) == len(list(handed_in.iterdir()))
    scores = {record.student: record.score for record in graded}
    assert scores["a neighbour"] == 100
    for record in graded:
        if not record.problem:
            assert record.score in (100, 0)
            assert (record.score == 0) == ("compiler_bomb" in record.student)
    written = {path for path in files_below(tmp_path) - before if not path.startswith(os.fsencode(out))}
    assert written == set()
    assert of_workers() == []
    for page in out.rglob("*.html"):
        assert "<img src=x" not in page.read_text(encoding="utf-8")
