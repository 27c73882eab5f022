"""The README's commands as they are typed, in a folder with nothing in it: exit codes, files, one line for a person."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from toyclass import COURSE, SOLUTION

pytestmark = pytest.mark.full


def typed(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """What `python -m autograder` says to these arguments in `folder`."""
    command = [sys.executable, "-m", "autograder", *arguments, "--course", str(COURSE)]
    environment = os.environ | {"AUTOGRADER_COURSE_KEY": "a key of this test", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
    return done


def refused(folder: Path, *arguments: str) -> str:
    """The one line on standard error of a command that was used wrongly and left nothing behind."""
    before = sorted(folder.rglob("*"))
    done = typed(folder, *arguments, code=2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("autograder: ")
    assert sorted(folder.rglob("*")) == before
    return line


def handed_in(folder: Path) -> None:
    (folder / "downloads").mkdir()
    for student in ("ada", "bob"):
        (folder / "downloads" / f"{student}.py").write_text(SOLUTION)


# --- autograder gradescope


def test_gradescope_writes_a_zip_with_its_scripts_at_the_root(tmp_path: Path) -> None:
    said = typed(tmp_path, "gradescope", "toy", "a.zip").stdout
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert {"setup.sh", "run_autograder"} <= set(packed.namelist())
        assert f"wrote {len(packed.namelist())} files into a.zip" in said


def test_gradescope_names_an_assignment_that_is_not_there(tmp_path: Path) -> None:
    line = refused(tmp_path, "gradescope", "nosuch", "a.zip")
    assert "'nosuch'" in line
    assert "toy" in line


def test_gradescope_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "none/a.zip" in refused(tmp_path, "gradescope", "toy", "none/a.zip")


# --- autograder similarity


def test_similarity_writes_its_page_with_the_pair(tmp_path: Path) -> None:
    pytest.importorskip("copydetect", reason="needs copydetect: pip install 'llm-assignments[similarity]'")
    handed_in(tmp_path)
    (tmp_path / "downloads" / "eve.txt").touch()
    done = typed(tmp_path, "similarity", "toy", "downloads")
    assert done.stderr == "eve.txt: not compared, not a .py, .zip or .ipynb file\n"
    assert done.stdout.splitlines() == [
        "100% 100%  ada  bob", "1 of 1 pairs share 50% or more; side by side: similarity.html"
    ]  # fmt: skip
    page = (tmp_path / "similarity.html").read_text()
    assert "ada" in page
    assert "bob" in page


def test_similarity_names_an_assignment_that_is_not_there(tmp_path: Path) -> None:
    handed_in(tmp_path)
    assert "'nosuch'" in refused(tmp_path, "similarity", "nosuch", "downloads")


def test_similarity_names_submissions_that_are_not_there(tmp_path: Path) -> None:
    assert "downloads" in refused(tmp_path, "similarity", "toy", "downloads")


def test_similarity_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("copydetect", reason="needs copydetect: pip install 'llm-assignments[similarity]'")
    handed_in(tmp_path)
    assert "none/page.html" in refused(tmp_path, "similarity", "toy", "downloads", "--out", "none/page.html")
