"""Seconds a submission of `nbgrader autograde`: with its own Execute, with our judge, and of `autograder grade`.

    python tests/bench/nbgrader.py [STUDENTS]

The same course, files and hidden properties each time. For Execute the graded cells run the hidden suite in the
kernel, beside the student's code, as nbgrader's users do; the suite is the toy course's, so that what is measured is
the way around it. Execute starts a kernel for each submission, so a tenth of the class says what one takes; ours has
its start once, so it is given all of them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "lms")]

import nbgraders  # noqa: E402
from toyclass import COURSE, SOLUTION  # noqa: E402

IN_KERNEL = """
import sys
sys.path[:0] = [{tests!r}]
import toyclass
from pathlib import Path
if "outcomes" not in globals():
    outcomes = toyclass.graded(Path("toy.py").read_text(), diagnose=None)
float(sum(o.earned for o in outcomes.values() if o.part == {part!r}))
"""


def timed(folder: Path, *command: object) -> float:
    start = time.monotonic()
    nbgraders.run(folder, *command)  # type: ignore[arg-type]
    return time.monotonic() - start


def course(folder: Path, students: int, in_kernel: bool) -> Path:
    folder.mkdir()
    made = nbgraders.grade_class(folder, members={})
    sheet = made / "source" / "toy" / "toy.ipynb"
    notebook = json.loads(sheet.read_text())
    if in_kernel:
        for cell in notebook["cells"]:
            part = cell["metadata"].get("nbgrader", {}).get("grade_id", "").removeprefix("part-")
            if cell["cell_type"] == "code" and "question" not in part:
                cell["source"] = IN_KERNEL.format(tests=str(HERE.parent), part=part)
        config = made / "nbgrader_config.py"
        lines = [line for line in config.read_text().splitlines() if "OverwriteCells.add" not in line]
        text = "\n".join(lines)
        start, end = text.index("c.Autograde.sanitize"), text.index("# Files of source/")
        config.write_text(text[:start] + text[end:])
    sheet.write_text(json.dumps(notebook))
    nbgraders.run(made, "nbgrader", "generate_assignment", "toy", "--force")
    for number in range(students):
        nbgraders.hand_in(made, f"s{number}", (SOLUTION + f"\n# {number}\n", nbgraders.nothing, -1, 100))
    return made


def main(students: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        few = max(2, students // 10)
        own = course(root / "own", few, in_kernel=True)
        rows = [("nbgrader autograde, its own Execute", timed(own, "nbgrader", "autograde", "toy") / few)]
        ours = course(root / "ours", students, in_kernel=False)
        for jobs in (1, 2):
            again = f"--Grade.jobs={jobs}"
            seconds = timed(ours, "nbgrader", "autograde", "toy", "--force", again, f"--Grade.out={root / str(jobs)}")
            rows.append((f"nbgrader autograde, our judge, {jobs} at a time", seconds / students))
        for jobs in (1, 2):
            command = ["autograder", "grade", "toy", ours / "submitted", "--course", COURSE, "--jobs", jobs]
            seconds = timed(root, *command, "--out", root / f"grades{jobs}")
            rows.append((f"autograder grade --jobs {jobs}", seconds / students))
    print(f"{students} submissions, {os.cpu_count()} cores")
    for what, seconds in rows:
        print(f"{seconds:7.2f} s a submission  {rows[0][1] / seconds:5.1f}x  {what}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
