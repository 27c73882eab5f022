"""How workers begin and end, and that nothing that one does can hold up its judge."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox_shell import Shell, descendants

from autograder import sandbox
from autograder.sandbox import launch


def test_a_worker_that_exits_is_reported_with_its_code(shell: Shell) -> None:
    assert (ended := shell.end("import os; os._exit(7)")).how == "exited"
    assert ended.code == 7


def test_a_worker_that_crashes_is_reported_with_its_signal(shell: Shell) -> None:
    ended = shell.end("import ctypes; ctypes.string_at(0)")
    assert (ended.how, ended.signal) == ("signalled", signal.SIGSEGV)
    assert b"Segmentation fault" in ended.output


def test_a_worker_that_aborts_is_reported_with_its_signal(shell: Shell) -> None:
    assert shell.end("import os; os.abort()").signal == signal.SIGABRT


def test_sys_exit_in_a_submission_ends_the_worker_and_no_more(shell: Shell) -> None:
    assert shell.end("raise SystemExit(0)").how == "exited"


def test_a_worker_that_is_stopped_is_reported_as_stopped(shell: Shell) -> None:
    shell.run("print('last words')")
    ended = shell.worker.stop()
    assert (ended.how, ended.code, ended.signal, ended.output) == ("stopped", None, None, b"last words\n")
    assert ended.cpu_seconds < 5
    assert shell.worker.stop() == ended


def test_an_endless_loop_times_out_and_can_be_stopped(shell: Shell) -> None:
    shell.begin("while True: pass")
    with pytest.raises(sandbox.TimedOut):
        shell.worker.receive(4, 0.1)
    assert shell.worker.stop().how == "stopped"


def test_a_worker_that_ignores_every_signal_can_be_stopped(shell: Shell) -> None:
    shell.begin(
        "import contextlib, signal\n"
        "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)\n"
        "while True: pass"
    )
    with pytest.raises(sandbox.TimedOut):
        shell.worker.receive(4, 0.1)
    assert shell.worker.stop().how == "stopped"


def test_a_worker_that_stops_itself_can_be_stopped(shell: Shell) -> None:
    shell.begin("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    with pytest.raises(sandbox.TimedOut):
        shell.worker.receive(4, 0.1)
    assert shell.worker.stop().how == "stopped"


def test_a_worker_that_never_reads_cannot_block_its_judge(shell: Shell) -> None:
    shell.begin("import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(sandbox.TimedOut):
        shell.worker.send([bytes(64 << 20)], 0.2)
    assert time.monotonic() - started < 5
    shell.worker.stop()


def test_a_worker_that_closes_its_channel_and_lives_on_is_gone(shell: Shell) -> None:
    ended = shell.end("import os, time; os.close(channel); time.sleep(60)")
    assert ended.how == "stopped"


def test_output_is_read_while_waiting_and_its_end_is_kept(forker: sandbox.Forker) -> None:
    with forker.worker(sandbox.Limits(output_bytes=100)) as worker:
        Shell(worker).run("import sys; print('x' * 1000000); print('end', file=sys.stderr)")
        assert worker.stop().output == b"x" * 95 + b"\nend\n"


def test_a_flood_of_output_ends_the_worker(shell: Shell) -> None:
    ended = shell.end("while True: print('x' * 1000000)")
    assert ended.how == "flooded"
    assert len(ended.output) == 8192


def test_a_worker_that_dies_while_it_is_written_to_is_gone(shell: Shell) -> None:
    shell.begin("import os; os._exit(0)")
    with pytest.raises(sandbox.WorkerGone):
        shell.worker.send([bytes(64 << 20)], 5.0)


def test_many_megabytes_come_back_as_they_went(shell: Shell) -> None:
    assert shell.run("answer = 'y' * 5000000") == "y" * 5000000


def test_what_is_said_unasked_is_noticed(shell: Shell) -> None:
    shell.run("answer = 1")
    assert not shell.worker.pending()
    shell.begin("import os; os.write(channel, b'unasked')")
    shell.worker.receive(1, 5)
    assert shell.worker.pending()


def test_a_worker_that_is_gone_has_said_nothing(shell: Shell) -> None:
    shell.begin("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(sandbox.WorkerGone):
        shell.worker.receive(1, 5)
    assert not shell.worker.pending()
    assert shell.worker.stop().signal == 9


def test_every_worker_starts_from_the_same_random_state(forker: sandbox.Forker) -> None:
    code = "import random, numpy; answer = (random.random(), float(numpy.random.rand()), hash('a'))"
    seen = []
    for seed in (0, 0, 7):
        with forker.worker(seed=seed) as worker:
            seen.append(Shell(worker).run(code))
    assert seen[0] == seen[1]
    assert seen[0][:2] != seen[2][:2]
    assert seen[0][2] == seen[2][2]


def test_a_new_judge_ends_what_an_earlier_one_left(level: str, zygote_at: Callable[..., sandbox.Zygote]) -> None:
    descriptor = zygote_at(level).fileno()
    left = sandbox.attach(descriptor).worker()
    forks = (later := sandbox.attach(descriptor)).forks
    with pytest.raises(sandbox.WorkerGone):
        left.receive(1, 5)
    with later.worker() as worker:
        assert Shell(worker).run("answer = 1") == 1
    assert later.forks == forks + 1


def test_no_process_is_left_when_a_worker_is_stopped(forker: sandbox.Forker) -> None:
    before = descendants()
    for _ in range(3):
        forker.worker().stop()
    assert descendants() == before


def test_everything_ends_when_the_zygote_is_stopped(
    level: str, package: Path, zygote_at: Callable[..., sandbox.Zygote]
) -> None:
    zygote_at(level)
    before = descendants()
    zygote = sandbox.start(level, [], package=package)
    forker = sandbox.attach(zygote.fileno())
    worker = forker.worker()
    assert len(descendants()) > len(before)
    zygote.stop()
    assert descendants() == before
    with pytest.raises(sandbox.WorkerGone):
        worker.receive(1, 5)
    with pytest.raises(sandbox.SandboxError, match="start a new one"):
        forker.worker()
    zygote.stop()


def test_everything_ends_when_the_orchestrator_is_killed(
    level: str, package: Path, zygote_at: Callable[..., sandbox.Zygote]
) -> None:
    zygote_at(level)
    before = descendants()
    code = f"""
from pathlib import Path
from autograder import sandbox
zygote = sandbox.start({level!r}, [], package=Path({str(package)!r}))
worker = sandbox.attach(zygote.fileno()).worker()
print("ready", flush=True)
import time; time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while descendants() != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descendants() == before


def test_a_judge_in_another_process_can_use_an_inherited_zygote(
    level: str, zygote_at: Callable[..., sandbox.Zygote]
) -> None:
    descriptor = zygote_at(level).fileno()
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from sandbox_shell import Shell, descendants
from autograder import sandbox
with sandbox.attach({descriptor}).worker() as worker:
    print(Shell(worker).run("answer = 6 * 7"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], pass_fds=[descriptor], capture_output=True, text=True, check=False
    )
    assert done.stdout == "42\n", done.stderr


def test_a_zygote_that_hangs_is_ended_too(
    level: str, package: Path, zygote_at: Callable[..., sandbox.Zygote], monkeypatch: pytest.MonkeyPatch
) -> None:
    zygote_at(level)
    before = descendants()
    zygote = sandbox.start(level, [], package=package)
    worker = sandbox.attach(zygote.fileno()).worker()
    for number in descendants() - before:
        os.kill(number, signal.SIGSTOP)
    monkeypatch.setattr(launch, "STOP_SECONDS", 0.2)
    zygote.stop()
    deadline = time.monotonic() + 5
    while descendants() != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descendants() == before
    with pytest.raises(sandbox.WorkerGone):
        worker.receive(1, 5)


def test_what_a_killed_orchestrator_left_on_disk_is_removed_by_a_later_one(
    package: Path, zygote_at: Callable[..., sandbox.Zygote]
) -> None:
    left = Path(tempfile.mkdtemp(prefix=launch.PREFIX))
    (left / "scratch").mkdir()
    long_ago = time.time() - 2 * launch.STALE_SECONDS
    os.utime(left, (long_ago, long_ago))
    zygote = sandbox.start("subprocess", [], package=package)
    assert not left.exists()
    sandbox.start("subprocess", [], package=package).stop()
    zygote.ready()
    zygote.stop()
