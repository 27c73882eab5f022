"""Where judges run: lanes on this machine's cores, each a zygote and a judge's server.

A lane breaks, never a run. A judge that dies on a submission gets a second chance on a fresh lane; after that the
submission is recorded as a grader error, for a person, and the next one is taken.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from autograder import job, sandbox
from autograder.course import PACKAGE
from autograder.outcome import TestOutcome
from autograder.sandbox import scratch
from autograder.sandbox.launch import hold

# A zygote's workers share its address layout, so it is replaced now and then; a new one costs as much as 100 forks.
FORKS_PER_ZYGOTE = 1000
START_SECONDS = 120.0
Isolation = Literal["zygote", "fresh"]
TRIES = 2  # of a submission whose judge dies
STARTS = 3  # of a zygote that dies before it is ready, as one does whose machine runs short of memory


class LaneSettings(msgspec.Struct, frozen=True):
    """What every lane of a run is made of."""

    level: str
    runtime: tuple[str, ...]
    isolation: Isolation = "zygote"
    device: str = "cpu"


class Task(msgspec.Struct, frozen=True):
    """A job, and what the caller knows it by."""

    name: str
    job: job.Job


class Event(msgspec.Struct, frozen=True):
    """News of a task: a test is over (`outcome`), or the task is (`done`); `grader_error` says why without a grade."""

    task: Task
    outcome: TestOutcome | None = None
    done: bool = False
    outcomes: tuple[TestOutcome, ...] = ()
    seconds: float = 0.0
    grader_error: str = ""
    flags: tuple[str, ...] = ()  # what a person should look at


class LaneBroken(Exception):
    """The judge or its zygote is gone."""


class Lane:
    """One zygote and one judge, used by one thread."""

    def __init__(self, settings: LaneSettings) -> None:
        self._settings = settings
        self._zygote: sandbox.Zygote | None = None
        self._judge: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._folder: Path | None = None
        self._lock: int | None = None  # holds the folder: without it, a later run may sweep it away
        self._greeted = False
        self._forks = 0
        self._closed = False
        self._changing = threading.Lock()

    def grade(self, task: job.Job, seconds: float, tell: Callable[[TestOutcome], None]) -> job.Done:
        """Do one job. Raises LaneBroken; the lane then starts afresh at the next call."""
        try:
            zygote, channel = self._ready()
            channel.settimeout(seconds)
            job.send(channel, task, [zygote.fileno()])
            while True:
                message, _ = job.receive(channel, job.Message)
                if isinstance(message, job.Told):
                    tell(message.outcome)
                elif isinstance(message, job.Done):
                    self._forks = message.forks
                    return message
                elif isinstance(message, job.Broken):
                    raise LaneBroken(message.reason)
        except (OSError, EOFError, TimeoutError) as error:
            self.stop()
            raise LaneBroken(f"the judge is gone ({type(error).__name__})") from None
        except BaseException:
            self.stop()
            raise

    def _ready(self) -> tuple[sandbox.Zygote, socket.socket]:
        with self._changing:
            if self._closed:
                raise LaneBroken("the run was ended")
            if self._zygote is not None and self._forks >= FORKS_PER_ZYGOTE:
                self._zygote.stop()
                self._zygote = None
            if self._judge is None or self._channel is None:
                self._start_judge()
            if self._zygote is None:
                own = self._settings
                self._zygote = sandbox.start(own.level, own.runtime, isolation=own.isolation, device=own.device)
                self._forks = 0
            zygote, channel = self._zygote, self._channel
        assert channel is not None
        if not self._greeted:
            channel.settimeout(START_SECONDS)
            job.receive(channel, job.Message)
            self._greeted = True
        return zygote, channel

    def _start_judge(self) -> None:
        ours, theirs = socket.socketpair()
        # The judge needs no secret and no setting of this process; a fixed hash seed makes its sets iterate alike.
        environment = {
            name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG", "SYSTEMROOT") if name in os.environ
        }
        environment |= {
            "PYTHONPATH": str(PACKAGE.parent), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }  # fmt: skip
        self._folder, self._lock = hold()
        # -P and another folder: this command may have been typed in a folder of what was handed in, and `-m` would look
        # there first for every module that it imports.
        self._judge = subprocess.Popen(
            [sys.executable, "-P", "-m", "autograder.judge.server", str(theirs.fileno()), str(self._folder)],
            pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, start_new_session=True, cwd="/",
        )  # fmt: skip
        theirs.close()
        self._channel = ours
        self._greeted = False

    def stop(self) -> None:
        """End both processes, at once. Any thread may call this."""
        with self._changing:
            if self._channel is not None:
                self._channel.close()
            if self._judge is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._judge.pid, signal.SIGKILL)
                self._judge.wait()
            if self._folder is not None:
                with contextlib.suppress(OSError):  # what its dying children still write is swept later
                    scratch.remove(str(self._folder))
                if self._lock is not None:
                    os.close(self._lock)
                self._folder = self._lock = None
            if self._zygote is not None:
                self._zygote.stop()
            self._zygote = self._judge = self._channel = None

    def close(self) -> None:
        """Stop, and never start again."""
        self._closed = True
        self.stop()


def run(
    tasks: Sequence[Task],
    settings: LaneSettings,
    jobs: int,
    seconds: float,
    unless: Callable[[Task], bool] = lambda task: False,
) -> Iterator[Event]:
    """Do all tasks on `jobs` lanes and yield their news as it comes, each task's `done` exactly once.

    `seconds` is the longest silence of a judge before it is taken for dead. A task for which `unless` holds when its
    turn comes is done at once, without outcomes. Raises `sandbox.SandboxError` where no lane can be made. Closing the
    iterator, or an exception in its consumer, ends every process of the run.
    """
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    news: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    lanes = [Lane(settings) for _ in range(max(1, min(jobs, len(tasks))))]
    stopping = threading.Event()

    def work(lane: Lane) -> None:
        try:
            while not stopping.is_set():
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    break
                news.put(Event(task, done=True) if unless(task) else _attempt(lane, task, seconds, news.put))
        except BaseException as error:
            news.put(error)
        finally:
            lane.stop()

    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    try:
        remaining = len(tasks)
        while remaining:
            event = news.get()
            if isinstance(event, BaseException):
                raise event
            remaining -= event.done
            yield event
    finally:
        stopping.set()
        for lane in lanes:
            lane.close()
        for thread in threads:
            thread.join(timeout=10)


def _attempt(lane: Lane, task: Task, seconds: float, put: Callable[[Event], None]) -> Event:
    started = time.monotonic()
    reasons: list[str] = []
    starts = 0
    while len(reasons) < TRIES:
        try:
            done = lane.grade(task.job, seconds, lambda outcome: put(Event(task, outcome=outcome)))
            return Event(task, done=True, outcomes=tuple(done.outcomes), seconds=done.seconds, flags=done.flags)
        except LaneBroken as error:
            reasons.append(str(error))
            lane.stop()
        except sandbox.SandboxError:
            starts += 1
            if starts == STARTS:
                raise
    return Event(task, done=True, seconds=time.monotonic() - started, grader_error=reasons[-1])
