"""Kills of one process of a grader at random moments, again and again, until the class is graded.

`python kill_moments.py 200 100` kills 200 times while 100 submissions are graded, and compares what is left with what
a run left that nobody disturbed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from hostile_run import SECRET  # noqa: E402
from toyclass import COURSE, SOLUTION, STUB, edited  # noqa: E402

from autograder import records  # noqa: E402
from autograder.records import Record  # noqa: E402

MOST_RUNS = 200
SOURCES = (
    SOLUTION,
    STUB,
    edited(("return found", "return found[:-1]")),
    edited(("return sum(count for _, count in self.kept)", "return len(self.kept)")),
    edited(("return found", "import os; os.abort()")),
    "x = (\n",
)


def hand_in(folder: Path, count: int) -> Path:
    """A class of solutions, stubs, mistakes, crashes and syntax errors."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"student {number:03}.py").write_text(
            f"{SOURCES[number % len(SOURCES)]}\n# {number}\n", encoding="utf-8"
        )
    return folder


def begin(handed_in: Path, out: Path, temporary: Path, *, jobs: int = 2, before: str = "") -> subprocess.Popen[bytes]:
    """The command, after some Python that changes the world for it."""
    arguments = ["autograder", "grade", "toy", str(handed_in), "--course", str(COURSE), "--out", str(out)]
    arguments += ["--jobs", str(jobs)]
    code = f"import sys; sys.argv = {arguments!r}\n{before}\nfrom autograder.cli import main; main()"
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {"TMPDIR": str(temporary), "AUTOGRADER_COURSE_KEY": SECRET}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def gradebook(out: Path) -> list[Record]:
    """Every record, without what depends on when and where it was made."""
    return [
        msgspec.structs.replace(
            record, seconds=0.0, graded_at="",
            tests=tuple(msgspec.structs.replace(test, seconds=0.0, replay="") for test in record.tests),
        )
        for record in records.read_all(out)
    ]  # fmt: skip


def victims(root: int) -> dict[str, list[int]]:
    """The processes of a run by what they are: the orchestrator, judges, their children, zygotes, workers."""
    table: dict[int, tuple[int, str]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            command = Path(f"/proc/{name}/cmdline").read_bytes().decode("utf-8", "replace")
            if state not in "ZX":
                table[int(name)] = int(parent), command
    found: dict[str, list[int]] = {"orchestrator": [root]}
    below = {root}
    while new := {pid for pid, (parent, _) in table.items() if parent in below} - below:
        below |= new
    for pid in below - {root}:
        parent, command = table[pid]
        same = table.get(parent, (0, ""))[1] == command
        if "autograder.judge.server" in command:
            kind = "judge's child" if same else "judge"
        elif command.startswith("bwrap") or "/bwrap" in command[:40]:
            kind = "wall"
        else:
            kind = "worker" if same else "zygote"
        found.setdefault(kind, []).append(pid)
    return found


def survive(kills: int, count: int, folder: Path, *, seed: int = 0, longest: float = 2.0) -> tuple[Counter[str], int]:
    """Grade `count` submissions under `kills` kills. What was killed how often, and how often the command was begun."""
    chance = random.Random(seed)
    handed_in, temporary = hand_in(folder / "handed in", count), folder / "temporary"
    temporary.mkdir()
    temporary.chmod(0o755)
    whole, broken = folder / "whole", folder / "broken"
    program = begin(handed_in, whole, temporary)
    assert program.wait(timeout=900) == 0
    killed: Counter[str] = Counter()
    runs = 0
    while runs < MOST_RUNS:
        runs += 1
        program = begin(handed_in, broken, temporary)
        assert program.stderr is not None
        os.set_blocking(program.stderr.fileno(), False)
        while program.poll() is None:
            if killed.total() < kills:
                time.sleep(chance.uniform(0.0, longest))
                those = victims(program.pid)
                # The orchestrator is always there, the others only once it is at work: each is to have its share.
                kind = chance.choice(sorted(set(those) - {"orchestrator"}) or ["orchestrator"])
                kind = "orchestrator" if chance.random() < 0.15 else kind
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(those[kind]), signal.SIGKILL)
                    killed[kind] += 1
            else:
                time.sleep(0.05)
            with contextlib.suppress(TypeError):
                program.stderr.read()
        if program.returncode not in (0, 3, -signal.SIGKILL):
            raise AssertionError(f"the command ended with {program.returncode}")
        never_by_a_fault(broken, whole)
        if program.returncode == 0 and killed.total() >= kills:
            break
        if program.returncode == 0:  # all graded, and kills left: once more from the start
            for record in (broken / "records").glob("*.json"):
                record.unlink()
    time.sleep(1.0)
    before, after = ({record.id: record for record in gradebook(own)} for own in (whole, broken))
    differ = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if differ:
        told = [(before.get(name), after.get(name)) for name in differ[:3]]
        raise AssertionError(f"{len(differ)} records differ, such as {told}")
    return killed, runs


def never_by_a_fault(broken: Path, whole: Path) -> None:
    """No record of a disturbed run has a point more, and each is whole."""
    honest = {record.student: record.score for record in gradebook(whole)}
    if not any((broken / "records").glob("*.json")):
        return
    for record in gradebook(broken):
        if record.score > honest[record.student] or not (record.grader_error or record.score == honest[record.student]):
            raise AssertionError(f"{record.student} has {record.score}, not {honest[record.student]}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        began = time.monotonic()
        print(*survive(int(sys.argv[1]), int(sys.argv[2]), Path(place), seed=int([*sys.argv, "0"][3])))
        print(f"{time.monotonic() - began:.0f} s; left behind: {sorted((Path(place) / 'temporary').iterdir())}")
