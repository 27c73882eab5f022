"""For notebooks: what the public properties say of one part. Part of the students' kit.

A graded cell of a notebook holds a call of `check` and nothing else, so that it says the same wherever it runs, and
there is nothing hidden in it to be read. The check itself runs in a process of its own, on the file as it was saved:
no kernel needs a restart after a change.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

_checked: dict[tuple[str, bytes], list[dict[str, object]]] = {}  # a notebook asks for every part of the same file


def check(assignment: str, part: str, path: str | os.PathLike[str] | None = None) -> None:
    """Print what holds of a part: on standard output where all does, on standard error what does not.

    nbgrader takes text on standard error for a failure, so `nbgrader validate` reports it as it is.
    """
    file = Path(path or f"{assignment}.py")
    if not file.is_file():
        print(f"there is no {file} beside this notebook", file=sys.stderr)
        return
    source = file.read_bytes()
    if (assignment, source) not in _checked:
        _checked[assignment, source] = _run(assignment, file)
    own = [outcome for outcome in _checked[assignment, source] if outcome["part"] == part]
    failing = [outcome for outcome in own if outcome["status"] != "passed"]
    if not own:
        print(f"{assignment} has no part {part}", file=sys.stderr)
    elif failing:
        print(_told(own, failing), file=sys.stderr)
    else:
        print(f"All public properties of {part} hold ({len(own)}). The grader has more, and draws other inputs.")


def _run(assignment: str, file: Path) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "autograder", "check", assignment, str(file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    with contextlib.suppress(ValueError):
        outcomes: list[dict[str, object]] = json.loads(done.stdout)
        return outcomes
    raise RuntimeError(f"the check could not run: {done.stderr.strip()[-400:]}")


def _told(own: list[dict[str, object]], failing: list[dict[str, object]]) -> str:
    import msgspec
    from rich.console import Console

    from autograder.outcome import TestOutcome
    from autograder.reports import failure

    text = io.StringIO()
    console = Console(file=text, width=100, no_color=True, force_jupyter=False, force_terminal=False)
    console.print(f"{len(own) - len(failing)} of {len(own)} public properties hold.", highlight=False)
    for outcome in failing:
        console.print()
        console.print(failure.outcome(msgspec.convert(outcome, TestOutcome), short=True), crop=False)
    return text.getvalue().rstrip()
