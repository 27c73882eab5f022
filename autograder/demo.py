"""The embedded class: submissions as a class hands them in, made from any assignment's solution and suite.

Nothing here names an assignment, so a new one has its class at once. Every member is written as a file and taken in,
sandboxed and judged like any other submission.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from autograder.course import Assignment
from autograder.judge.suite import Bug
from autograder.stubs import BEGIN, END, stub
from autograder.suites import alternatives_of, bugs_of

NAMES = (
    "ada", "boris", "chloe", "dmitri", "elif", "farid", "grace", "hugo", "ines", "jun", "kofi", "lena", "mateo",
    "nadia",     "oskar", "priya", "quentin", "rosa", "samir", "tara",
)  # fmt: skip
PLANTED = 4

FORGED = """

# This submission does none of the work and tries to be graded as if it had.
import builtins, json, os, sys
print("ALL TESTS PASSED\\nscore: 100/100\\n::notice title=Autograding complete::Points 100/100")
for path in ("results.json", "/autograder/results/results.json", "/tmp/results.json", "gradebook.db"):
    try:
        with open(path, "w") as file:
            json.dump({"score": 100, "tests": [{"score": 100, "status": "passed"}]}, file)
    except OSError:
        pass


class AlwaysRight:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __float__(self): return 0.0
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self


for name, value in list(globals().items()):
    if callable(value) and getattr(value, "__module__", None) == __name__ and name != "AlwaysRight":
        globals()[name] = AlwaysRight()
"""


class Member(msgspec.Struct, frozen=True):
    """One submission of the class, and what it stands for."""

    student: str
    what: str
    source: bytes
    hostile: bool = False


def members(assignment: Assignment, *, hostile: bool = True) -> list[Member]:
    """The class. Without `hostile` it leaves out those that need a sandbox."""
    solution = assignment.solution.read_text(encoding="utf-8")
    untouched = stub(solution)
    cast: list[tuple[str, str, bool]] = [("the reference", solution, False)]
    cast += [
        (f"another style: {name}", path.read_text(encoding="utf-8"), False)
        for name, path in alternatives_of(assignment).items()
    ]
    cast += [("an untouched stub", untouched, False)]
    cast += [(f"one mistake: {bug.name}", bug.plant(solution), False) for bug in _one_bug_a_part(assignment)]
    cast += [
        ("half-finished", _keep_regions(solution, 0.5), False),
        ("only just begun", _keep_regions(solution, 0.2), False),
        ("a syntax error", solution.replace(f"    {BEGIN}", f"    {BEGIN}\n    if True print('here')", 1), False),
        ("an endless loop", _fill_first_region(solution, "while True: pass"), True),
        ("a crash", _fill_first_region(solution, "import os; os.abort()"), True),
        ("a forger", untouched + FORGED, True),
        ("leaves with exit code 0", untouched + "\nimport os\nos._exit(0)\n", True),
    ]
    chosen = [(what, source, bad) for what, source, bad in cast if hostile or not bad]
    return [Member(name, what, source.encode(), bad) for name, (what, source, bad) in zip(NAMES, chosen, strict=False)]


def write(members: Iterable[Member], folder: Path, module: str) -> Path:
    """Submissions as a folder of folders, as an LMS would give it."""
    for member in members:
        path = folder / member.student / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(member.source)
    return folder


def _one_bug_a_part(assignment: Assignment) -> list[Bug]:
    chosen = []
    for part in assignment.parts:
        own = [bug for bug in bugs_of(assignment) if bug.part == part.name]
        chosen += own[:1]
    return chosen[:PLANTED]


_REGION = re.compile(rf"( *){re.escape(BEGIN)}\n.*?{re.escape(END)}\n", re.DOTALL)


def _keep_regions(solution: str, share: float) -> str:
    """The solution with only the first `share` of its regions filled in."""
    regions = list(_REGION.finditer(solution))
    for match in reversed(regions[int(len(regions) * share) :]):
        solution = f"{solution[: match.start()]}{match[1]}raise NotImplementedError\n{solution[match.end() :]}"
    return solution


def _fill_first_region(solution: str, statement: str) -> str:
    return _REGION.sub(lambda match: f"{match[1]}{statement}\n", solution, count=1)
