"""Commands are typed where submissions lie, and a submission may be called like a module: none of them is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toyclass import COURSE, SOLUTION, STUB

from autograder import records

pytestmark = pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")

INSTALLED = Path(sys.executable).parent / "autograder"
OTHERS = "_pytest autograder copydetect hypothesis jinja2 msgspec numpy pytest rich site sitecustomize torch toy typer"
NAMES = sorted({*sys.stdlib_module_names, *OTHERS.split(), "usercustomize"} - {"toy"})


@pytest.fixture
def crowded(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of files with the names of modules, each of which leaves a mark where it is imported; and the mark."""
    folder, mark = tmp_path / "handed in", tmp_path / "imported"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write(__name__ + ' ')\n")
    (folder / "toy.py").write_text(STUB)
    return folder, mark


def run(folder: Path, *arguments: object, code: int = 0) -> str:
    environment = os.environ | {"AUTOGRADER_COURSE_KEY": "a key of this test", "GITHUB_ACTIONS": "true"}
    done = subprocess.run(
        [str(INSTALLED), *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def test_a_students_repository_is_no_place_to_import_from(crowded: tuple[Path, Path], tmp_path: Path) -> None:
    folder, mark = crowded
    run(folder, "ci", "toy", ".", "--course", COURSE, "--out", tmp_path / "out", code=1)
    assert not mark.exists(), mark.read_text()
    (record,) = records.read_all(tmp_path / "out")
    assert (record.score, record.grader_error) == (0, "")


def test_a_folder_of_submissions_is_no_place_to_import_from(crowded: tuple[Path, Path], tmp_path: Path) -> None:
    folder, mark = crowded
    for path in folder.glob("*.py"):
        if path.name not in ("tempfile.py", "toy.py", "selectors.py", "socket.py", "torch.py", "pytest.py"):
            path.unlink()
    (folder / "ada.py").write_text(SOLUTION)
    run(folder, "grade", "toy", ".", "--course", COURSE, "--out", "../out")
    assert not mark.exists(), mark.read_text()
    found = {record.student: record for record in records.read_all(tmp_path / "out")}
    scores = {student: record.score for student, record in found.items()}
    assert (scores.pop("ada"), set(scores.values()), len(scores)) == (100, {0}, 6)
    failed = found["toy"]
    path = records.Store(tmp_path / "out").path(failed.id)
    run(folder, "replay", path, failed.tests[0].test, "--course", COURSE, code=1)
    run(folder, "check", "toy", "ada.py", "--course", COURSE)
    pytest.importorskip("copydetect", reason="needs copydetect: pip install copydetect")
    run(folder, "similarity", "toy", ".", "--course", COURSE, "--out", "../pairs.html")
    assert not mark.exists(), mark.read_text()
