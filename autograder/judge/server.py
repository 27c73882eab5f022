"""The process that grading happens in. It imports what judging needs once, then forks itself for each submission.

Theory of operation. The orchestrator starts this process with one socket. It takes away its own right to write
anywhere but in a temporary folder, so that no bug in a suite and nothing that a reply provokes can touch the gradebook.
For each job it forks: the child takes the zygote's control socket that came with the job, asks it for workers, and
sends outcomes straight to the orchestrator. A child that dies takes one submission's attempt with it, and the
orchestrator hears so from the parent. Before a suite has its first job here, this process loads it, so that no child
needs to. Nothing survives from one submission to the next.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.course import Assignment, CourseError, open_course

if TYPE_CHECKING:
    from autograder import job

WRITABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")


def confine(folder: str) -> str:
    """Give up writing anywhere but in `folder`. Says how; on systems without Landlock, that it did not."""
    if sys.platform != "linux":
        return "not confined: this system has no Landlock"
    from autograder.sandbox import kernel, landlock

    if not landlock.version():
        return "not confined: this kernel has no Landlock"
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    rules = [("/", landlock.READ | landlock.EXECUTE), (folder, landlock.SCRATCH)]
    rules += [(device, landlock.READ_FILE | landlock.WRITE_FILE) for device in WRITABLE_DEVICES]
    landlock.restrict(rules)
    return f"writes only to its temporary folder (Landlock {landlock.version()})"


def serve(channel: socket.socket, folder: str) -> None:
    """Answer jobs until the orchestrator closes the socket. `folder` is the orchestrator's to make and to remove."""
    import torch

    from autograder import job
    from autograder.judge import grading

    torch.set_num_threads(1)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    os.chdir(folder)
    job.send(channel, job.Ready(confine(folder)))
    warm: set[tuple[str, str, str]] = set()
    while True:
        try:
            task, descriptors = job.receive(channel, job.Job, descriptors=1)
        except (EOFError, ConnectionError):
            return
        kind = (task.course, task.assignment, task.suite)
        if kind not in warm:
            warm.add(kind)
            with contextlib.suppress(CourseError):  # the child will say so
                grading.warm_up(_assignment(task), task.suite)
            # A child's collector would visit, and so copy, everything that is shared with this process: 0.25 s a job.
            gc.collect()
            gc.freeze()
        child = os.fork()
        if not child:
            _child(channel, task, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        if status:
            with contextlib.suppress(ConnectionError):  # the orchestrator is gone: the next receive says so
                job.send(channel, job.Broken(f"the judge's process ended with {_how(status)}"))


def _child(channel: socket.socket, task: object, descriptors: list[int]) -> None:
    """Do one job and leave; never returns, so that no cleanup of the parent's runs twice."""
    from autograder import job, sandbox

    code = 0
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        job.send(channel, _do(channel, task, descriptors))
    except sandbox.SandboxError as error:
        job.send(channel, job.Broken(str(error), sandbox=True))
    except BrokenPipeError:
        code = 1
    except BaseException:
        job.send(channel, job.Broken(traceback.format_exc()[-4000:]))
    finally:
        os._exit(code)


def _do(channel: socket.socket, task: object, descriptors: list[int]) -> object:
    from autograder import job, sandbox
    from autograder.course import Limits
    from autograder.diagnosis import Diagnosis
    from autograder.judge.connect import SandboxConnection
    from autograder.judge.grading import MAX_FLAGS, Plan, grade

    assert isinstance(task, job.Job)
    started = time.monotonic()
    assignment = _assignment(task)
    forker = sandbox.attach(descriptors[0])
    limits = task.limits or assignment.limits

    def connect(own: Limits) -> SandboxConnection:
        return SandboxConnection(forker, own)

    diagnosis = Diagnosis(assignment, connect, limits) if task.diagnose else None
    flags: dict[str, None] = {}
    plan = Plan(
        assignment, task.source, connect, seed=task.seed, suite=task.suite, only=task.only, limits=limits,
        diagnose=diagnosis.name if diagnosis else None, shrink=task.shrink,
        tell=lambda outcome: job.send(channel, job.Told(outcome)), flag=lambda text: flags.setdefault(text),
    )  # fmt: skip
    outcomes = grade(plan)
    return job.Done(outcomes, round(time.monotonic() - started, 3), forker.forks, tuple(sorted(flags))[:MAX_FLAGS])


def _assignment(task: job.Job) -> Assignment:
    """What a job is about. Tests of another course import their neighbours by its folder."""
    if task.course and task.course not in sys.path:
        sys.path.insert(0, task.course)
    return open_course(Path(task.course) if task.course else None).assignment(task.assignment)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit code {os.WEXITSTATUS(status)}"


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
