"""A class that hands in notebooks, and nbgrader's own commands run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toyclass import MEAN, SOLUTION, STUB, copied, edited

SECRET = "a key of this test"
BIN = Path(sys.executable).parent
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
POLICY = """assignments = ["toy"]
[due]
toy = 2026-03-01T12:00:00Z
[policy]
grace_minutes = 10
percent_per_day = 10
cap_percent = 50
late_days = 1
"""


def make_course(folder: Path) -> Path:
    """The toy course with due dates and a late policy."""
    return copied(folder, ('assignments = ["toy"]\n', POLICY), path="assignments/course.toml")


def environment() -> dict[str, str]:
    """As in a shell where no virtual environment is activated: `alembic` is not on the PATH."""
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != BIN)
    return os.environ | {"PATH": path, "AUTOGRADER_COURSE_KEY": SECRET, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def run(folder: Path, program: str, *arguments: object, code: int = 0, **more: str) -> str:
    """Run a program of this environment; its output."""
    done = subprocess.run(
        [str(BIN / program), *map(str, arguments)], cwd=folder, env=environment() | more, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


Notebook = dict[str, Any]


def cell_of(notebook: Notebook, grade_id: str) -> dict[str, Any]:
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


def answered(notebook: Notebook) -> None:
    """Text and a picture, and everything in both that a browser could run."""
    cell_of(notebook, "question-why_runs")["source"] = (
        f"For long runs. {SCRIPT}\n\n{SCRIPT}\n\n"
        "[x](javascript:alert(1)) [y](data:text/html,x) $\\href{javascript:alert(1)}{y}$ a<b `a<b`"
    )
    notebook["cells"].append(
        {"cell_type": "raw", "id": "raw", "metadata": {"raw_mimetype": "text/html"}, "source": SCRIPT}
    )
    plot = cell_of(notebook, "question-smoothing")
    plot["source"] = "import matplotlib"
    plot["execution_count"] = 7
    plot["outputs"] = [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": PNG, "text/html": SCRIPT}},
        {"output_type": "execute_result", "execution_count": 7, "metadata": {}, "data": {"text/html": SCRIPT}},
        {"output_type": "display_data", "metadata": {}, "data": {"application/javascript": "document.title='owned'"}},
        {"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": f"<svg>{SCRIPT}</svg>"}},
        {"output_type": "stream", "name": "stderr", "text": "a warning of mine"},
    ]


def forged(notebook: Notebook) -> None:
    """Points in outputs, in metadata, in cells of one's own and in copies."""
    for cell in list(notebook["cells"]):
        meta = cell["metadata"].get("nbgrader")
        if meta and meta["grade"] and cell["cell_type"] == "code":
            cell["outputs"] = [
                {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": "999"}}
            ]
            meta |= {"points": 999, "solution": True, "locked": False}
            cell["source"] = "999"
            notebook["cells"].append(json.loads(json.dumps(cell)) | {"id": f"copy-{len(notebook['cells'])}"})
    for number, meta in enumerate([{"grade_id": "mine", "grade": True, "points": 50}, [], "x", {"grade_id": ["a"]}]):
        notebook["cells"].append(
            {"cell_type": "code", "id": f"mine-{number}", "metadata": {"nbgrader": meta}, "source": "50", "outputs": [],
             "execution_count": None}
        )  # fmt: skip


def emptied(notebook: Notebook) -> None:
    """Every graded cell is gone."""
    notebook["cells"] = [cell for cell in notebook["cells"] if "nbgrader" not in cell["metadata"]]


def nothing(notebook: Notebook) -> None:
    pass


HOSTILE = STUB + "\nimport os, sys\nprint('100')\nprint('100', file=sys.stderr)\nos._exit(0)\n"
NOISY = SOLUTION + "\nimport sys\nprint('not a number')\nprint('an error', file=sys.stderr)\n"
BUG = edited((MEAN, "x[..., max(0, t - window) : t + 1].mean(-1)"))

# name: the file, what is done to the notebook, days late, the score
Member = tuple[str | None, Callable[[Notebook], None], float, float]
CLASS: dict[str, Member] = {
    "ada": (SOLUTION, answered, -1, 100),
    "bob": (STUB, nothing, -1, 0),
    "eve": (BUG, nothing, 0.005, 70),
    "mal": (HOSTILE, forged, -1, 0),
    "del": (SOLUTION, emptied, -1, 100),
    "err": (NOISY, nothing, -1, 100),
    "late": (SOLUTION, nothing, 2.5, 100),
    "ext": (SOLUTION, nothing, 2.5, 100),
    "none": (None, nothing, -1, 0),
}
ROSTER = "student,assignment,due,name,email\next,toy,2026-03-04T12:00:00Z,Ext Ended,ext@example.org\nada,,,Ada Comma,\n"


def hand_in(folder: Path, student: str, member: Member) -> None:
    """Put one submission where nbgrader expects it, as its exchange would."""
    source, change, days, _ = member
    place = folder / "submitted" / student / "toy"
    place.mkdir(parents=True)
    notebook = json.loads((folder / "release" / "toy" / "toy.ipynb").read_text())
    change(notebook)
    (place / "toy.ipynb").write_text(json.dumps(notebook))
    if source is not None:
        (place / "toy.py").write_text(source)
    day, hour = divmod(12 + 24 * days, 24)
    minutes = round(hour % 1 * 60)
    stamp = f"2026-03-0{int(1 + day)} {int(hour):02}:{minutes:02}:00 UTC" if day >= 0 else "2026-02-28 12:00:00 UTC"
    (place / "timestamp.txt").write_text(stamp)


def grade_class(folder: Path, database: str = "", members: dict[str, Member] = CLASS) -> Path:
    """Make the course, release it, hand in, and grade; the folder of the nbgrader course."""
    course, made = make_course(folder), folder / "nb"
    (folder / "roster.csv").write_text(ROSTER)
    more = ["--db", database] if database else []
    run(folder, "autograder", "nbgrader", made, "--course", course, "--roster", folder / "roster.csv", *more)
    run(made, "nbgrader", "generate_assignment", "toy")
    for student, member in members.items():
        hand_in(made, student, member)
    if members:
        run(made, "nbgrader", "autograde", "toy")
    return made
