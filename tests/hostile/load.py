"""A large class in one run: `python load.py 1000` says what the orchestrator, its processes and its files came to.

Most of the class has not begun, which takes least time; every tenth submission is a solution. What is looked at is the
orchestrator's memory, how many processes and temporary files there are at once, and the pace from beginning to end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from kill_moments import begin, victims  # noqa: E402
from toyclass import SOLUTION, STUB  # noqa: E402

EVERY = 0.2  # seconds between two looks


class Load(msgspec.Struct):
    """Figures of one run."""

    submissions: int
    seconds: float
    first_pace: float  # seconds of a submission, over the first tenth after the first few, which wait for torch
    last_pace: float
    mebibytes: list[float]  # of the orchestrator, at each tenth of the class
    most_processes: int
    most_files: int  # temporary ones, at once
    largest_record: int  # bytes


def run(count: int, folder: Path, *, jobs: int = 2) -> Load:
    """Grade a class of `count` in `folder`."""
    handed_in, temporary, out = folder / "handed in", folder / "temporary", folder / "out"
    handed_in.mkdir()
    temporary.mkdir()
    temporary.chmod(0o755)
    for number in range(count):
        source = SOLUTION if number % 10 == 0 else STUB
        (handed_in / f"{number:04}.py").write_text(f"{source}\n# {number}\n", encoding="utf-8")
    program = begin(handed_in, out, temporary, jobs=jobs)
    over, processes, files = threading.Event(), [0], [0]

    def look() -> None:
        while not over.wait(EVERY):
            processes.append(sum(map(len, victims(program.pid).values())))
            files.append(sum(len(names) for _, _, names in os.walk(temporary)))

    watcher = threading.Thread(target=look)
    watcher.start()
    times, memory = [], []
    assert program.stderr is not None
    for line in program.stderr:
        if re.match(rb"toy \d+/\d+ ", line):
            times.append(time.monotonic())
            memory.append(resident(program))
    over.set()
    watcher.join()
    assert program.wait(timeout=60) == 0
    assert len(times) == count
    tenth = max(count // 10, 1)
    skipped = min(4, tenth)
    return Load(
        submissions=count,
        seconds=round(times[-1] - times[0], 1),
        first_pace=round((times[skipped + tenth] - times[skipped]) / tenth, 3),
        last_pace=round((times[-1] - times[-1 - tenth]) / tenth, 3),
        mebibytes=[round(memory[min(place * tenth, count - 1)], 1) for place in range(11)],
        most_processes=max(processes),
        most_files=max(files),
        largest_record=max(path.stat().st_size for path in (out / "records").iterdir()),
    )


def resident(program: subprocess.Popen[bytes]) -> float:
    """Memory of the orchestrator, in MiB; 0 where it has just ended."""
    try:
        status = Path(f"/proc/{program.pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        print(msgspec.json.format(msgspec.json.encode(run(int(sys.argv[1]), Path(place))), indent=1).decode())
