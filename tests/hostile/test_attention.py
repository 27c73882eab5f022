"""The corpus's reading and forging attacks against a real suite, `attention`: what won nothing there wins nothing here.

The sample runs in every full run; all, by `python tests/hostile/test_attention.py`, take a quarter of an hour a level.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import pytest  # noqa: E402
from hostile_corpus import Entry, entries  # noqa: E402
from hostile_machine import refuse  # noqa: E402
from hostile_run import Ground, Run, grade, wrong_around  # noqa: E402

from autograder import sandbox  # noqa: E402
from autograder.course import open_course  # noqa: E402
from autograder.stubs import stub  # noqa: E402

ATTENTION = open_course().assignment("attention")
SOLUTION = ATTENTION.solution.read_text(encoding="utf-8")
ASKED = "chunked_attention"  # an attack runs when this is called; nothing else of the solution calls it
READING, FORGING = range(16), range(16, 36)
ENTRIES = [
    own
    for own in entries()
    if own.security_class in {*READING, *FORGING} and own.kind != "by_library"  # by_library answers the toy's question
]
SAMPLED = """
    reads_a_file_by_its_path walks_the_frames agrees_with_everything subclasses_tensor hands_back_its_input
    answers_twice leaves_with_exit_code_0 writes_results
"""
SAMPLE = [own for own in ENTRIES if own.name in SAMPLED.split()]
LEVELS = ("full", "landlock")


def course(folder: Path) -> Path:
    """The packaged course with this assignment alone, and few examples: an attack wins at once or not at all."""
    copy = folder / "course"
    for name, source in {
        "assignments": ATTENTION.folder, "solutions": ATTENTION.solution.parent, "suites": ATTENTION.suite
    }.items():  # fmt: skip
        shutil.copytree(source, copy / name / "attention", ignore=shutil.ignore_patterns("__pycache__", "alternatives"))
    (copy / "assignments" / "course.toml").write_text('id = "attacked"\ntitle = ""\nassignments = ["attention"]\n')
    for path in (copy / "suites" / "attention").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"max_examples=\d+", "max_examples=4", text), encoding="utf-8")
    return copy


GROUND = Ground(
    "attention", course, {"all right": (SOLUTION, ATTENTION.points), "not begun": (stub(SOLUTION), 0)},
    {"solution": SOLUTION, "stub": stub(SOLUTION), "hook": ASKED, "answering": ASKED}, neighbours=1,
)  # fmt: skip


def wrong(run: Run, chosen: Sequence[Entry], level: str) -> list[str]:
    """Everything that is not as it should be: full marks for an attack that came to nothing, none for a forgery."""
    found = wrong_around(run, level, GROUND)
    asked = sum(part.points for part in ATTENTION.parts if part.name == ASKED)
    for own in chosen:
        record = run.records[own.name]
        lost = {test.part for test in record.tests if test.earned < test.points}
        won = any("WON" in test.returned for test in record.tests)
        if record.level != level or record.grader_error:
            found.append(f"{own.name}: graded at {record.level}: {record.grader_error[-300:]}")
        elif own.kind == "attack" and won != (level == "landlock" and "the wall" in own.wins_without):
            found.append(f"{own.name}: {'won' if won else 'did not win'}")
        elif own.kind == "attack" and not won and record.score != ATTENTION.points:
            found.append(
                f"{own.name}: {record.score}: {[(test.test, test.reason) for test in record.tests if test.reason]}"
            )
        elif own.kind in ("forge", "whole") and record.score:
            found.append(f"{own.name}: {record.score} for {[t.test for t in record.tests if t.earned]}")
        # One that hangs uses up the submission's time, and so loses parts that come after this one too.
        elif own.kind in ("reply", "answer") and not (ASKED in lost and record.score <= ATTENTION.points - asked):
            found.append(f"{own.name}: {record.score}, lost {lost}")
    return found


@pytest.mark.full
@pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")
def test_a_sample_comes_to_nothing_against_a_real_suite(tmp_path: Path) -> None:
    level = LEVELS[0]
    standing = next(standing for standing in sandbox.probe().levels if standing.level == level)
    if not standing.holds:
        refuse(f"needs level {level}: {standing.why}")
    assert wrong(grade(SAMPLE, level, tmp_path, ground=GROUND), SAMPLE, level) == []


if __name__ == "__main__":
    for own_level in sys.argv[1:] or LEVELS:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            Path(name).chmod(0o755)
            whole = grade(ENTRIES, own_level, Path(name), ground=GROUND)
            print(own_level, len(ENTRIES), f"in {whole.seconds:.0f} s", *wrong(whole, ENTRIES, own_level), sep="\n")
