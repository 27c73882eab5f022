"""One folder of hostile submissions, honest neighbours among them, through the command that an instructor types."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from hostile_corpus import HONEST, Entry, submission
from hostile_machine import canary, descendants, of_workers
from toyclass import copied

from autograder import records
from autograder.records import Record

SECRET = "the course key of a hostile run"
# Endless loops should not take long, and a machine that does other things beside this should not end honest ones.
QUICK = ("call_seconds = 3\ntest_seconds = 15", "call_seconds = 0.8\ntest_seconds = 4")
MOST_MEBIBYTES = 1200  # of any process: torch is 250, a judge may hold a reply of 64 and a decoded header of 400


class Run(NamedTuple):
    """What came of it, beside the records."""

    records: dict[str, Record]
    said: str  # on both streams
    seconds: float
    peak_mebibytes: float  # of the largest of its processes
    left: list[str]  # files of the workers in shared folders, and whatever is in the folder for temporary files
    secrets: dict[str, str]
    neighbours: str  # a word that only neighbours' sources hold
    folder: Path
    source: dict[str, str]


class Ground(NamedTuple):
    """What an attack is run against: an assignment, a copy of its course, and what is put around the attack."""

    assignment: str
    copy: Callable[[Path], Path]
    honest: dict[str, tuple[str, int]]
    around: dict[str, str]
    neighbours: int = 3  # of each honest kind: first, in the middle and last


def toy_course(folder: Path) -> Path:
    """The toy course, with limits and numbers of examples that are soon reached."""
    course = copied(folder, QUICK, path="assignments/toy/assignment.toml")
    suite = course / "suites" / "toy" / "test_toy.py"
    suite.write_text(re.sub(r"max_examples=\d+", "max_examples=6", suite.read_text(encoding="utf-8")), encoding="utf-8")
    return course


TOY = Ground("toy", toy_course, HONEST, {})


def environment(level: str, temporary: Path) -> dict[str, str]:
    """That of an instructor, with secrets in it. Without bubblewrap on the path the best level is landlock."""
    path = "/nonexistent" if level == "landlock" else os.environ["PATH"]
    own = {name: os.environ[name] for name in ("HOME", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    return own | {"PATH": path, "TMPDIR": str(temporary), "AUTOGRADER_COURSE_KEY": SECRET}


def grade(
    chosen: Sequence[Entry],
    level: str,
    folder: Path,
    *,
    jobs: int = 4,
    isolation: str = "zygote",
    ground: Ground = TOY,
) -> Run:
    """Grade these and their neighbours at a level."""
    name, course = ground.assignment, ground.copy(folder)
    out, handed_in = folder / "out", folder / "handed in"
    handed_in.mkdir(parents=True)
    with canary(course, out) as paths, tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        temporary = Path(place)
        temporary.chmod(0o755)  # a dropped user id must be able to enter
        token, neighbours = paths["TOKEN"], f"neighbour-canary-{paths['TOKEN'][::-1]}"
        for hidden in (f"suites/{name}/test_{name}.py", f"suites/{name}/bugs.py", f"solutions/{name}/{name}.py"):
            with open(course / hidden, "a", encoding="utf-8") as file:
                file.write(f"\n# {token}\n")
        sources = {own.name: submission(own, paths, **ground.around) for own in chosen}
        for number in range(ground.neighbours):
            for kind, (source, _) in ground.honest.items():
                sources[f"{'amz'[number]} neighbour {kind}"] = f"{source}\n# {neighbours} {number}\n"
        for student, source in sources.items():
            (handed_in / f"{student}.py").write_text(source, encoding="utf-8")
        command = [sys.executable, "-m", "autograder", "grade", name, str(handed_in), "--course", str(course)]
        command += ["--out", str(out), "--jobs", str(jobs), "--isolation", isolation]
        before, began = descendants(), time.monotonic()
        done = subprocess.run(
            command, env=environment(level, temporary) | {"AUTOGRADER_CANARY": token}, cwd="/",
            capture_output=True, timeout=1400, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
        left = [*of_workers(), *map(str, temporary.iterdir())]
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    left += [f"process {pid}" for pid in descendants() - before]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    said = (done.stdout + done.stderr).decode("utf-8", "surrogateescape")
    found = {record.student: record for record in records.read_all(out)}
    secrets = {"the canary": token, "the course key": SECRET}
    return Run(found, said, seconds, peak, left, secrets, neighbours, folder, sources)


def wrong(run: Run, chosen: Sequence[Entry], level: str) -> list[str]:
    """Everything that is not as it should be in a run on the toy course."""
    return [*_wrong_records(run, chosen, level), *wrong_around(run, level, TOY)]


def wrong_around(run: Run, level: str, ground: Ground) -> list[str]:
    """Everything that is not as it should be, whatever the records of the attacks say."""
    found = []
    if missing := set(run.source) ^ set(run.records):
        found.append(f"no record, or one too many: {sorted(missing)}")
    return [
        *found,
        *_wrong_neighbours(run, level, ground),
        *_wrong_words(run),
        *(f"left behind: {what}" for what in run.left),
        *([f"a process took {run.peak_mebibytes:.0f} MiB"] if run.peak_mebibytes > MOST_MEBIBYTES else []),
    ]


def _wrong_records(run: Run, chosen: Sequence[Entry], level: str) -> list[str]:
    found = []
    for own in chosen:
        record = run.records[own.name]
        score, statuses = own.record_says(level)
        worst = status(record)
        if record.level != level or record.grader_error:
            found.append(f"{own.name}: graded at {record.level}: {record.grader_error[-300:]}")
        elif (record.score, worst in statuses) != (score, True):
            reason = next((test.reason for test in record.tests if test.status == worst), "")
            returned = next((test.returned for test in record.tests if "WON" in test.returned), "")
            found.append(f"{own.name}: {record.score} {worst} ({reason}) {returned}, not {score} {'/'.join(statuses)}")
        won = any("WON" in test.returned for test in record.tests)
        if own.kind == "attack" and won != (level == "landlock" and "the wall" in own.wins_without):
            found.append(f"{own.name}: {'won' if won else 'did not win'}")
        if own.kind == "by_library" and not any("groupby" in n or "consecutive" in n for n in record.notes):
            found.append(f"{own.name}: not flagged: {record.notes}")
        if record.seconds > 60 or len(msgspec.json.encode(record)) > (1 << 20) + len(record.source):
            found.append(f"{own.name}: took {record.seconds:.0f} s, {len(msgspec.json.encode(record))} bytes of record")
    return found


def status(record: Record) -> str:
    """The worst status of a record's tests: what happened, in one word."""
    order = ["passed", "skipped", "failed", "timeout", "out_of_memory", "crashed", "error"]
    return max((test.status for test in record.tests), key=order.index, default="skipped")


def _wrong_neighbours(run: Run, level: str, ground: Ground) -> list[str]:
    found = []
    for name, (_, score) in ground.honest.items():
        own = [record for student, record in run.records.items() if student.endswith(f"neighbour {name}")]
        if len(own) != ground.neighbours or any(record.score != score or record.level != level for record in own):
            found.append(f"neighbours changed: {name}: {[record.score for record in own]}, not {score}")
    return found


def _wrong_words(run: Run) -> list[str]:
    """A canary, a secret, or a word that some reader would take for a command."""
    found = []
    for path in run.folder.glob("out/**/*.*"):
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name} is in {path}" for name, word in run.secrets.items() if word in text]
        if path.suffix == ".html" and ("<img src=x" in text or "<script>ran" in text or "\x1b" in text):
            found.append(f"markup of a submission is in {path}")
    found += [f"{name} is on the terminal" for name, word in run.secrets.items() if word in run.said]
    for student, record in run.records.items():
        if run.neighbours in msgspec.json.encode(record).decode() and " neighbour " not in student:
            found.append(f"{student} has a neighbour's source")
    for line in run.said.splitlines():
        if line.lstrip().startswith("::") or not line.isprintable():
            found.append(f"the terminal was told: {line!r}")
    return found
