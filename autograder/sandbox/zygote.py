"""The process that has torch imported and forks workers. It runs inside the sandbox's outer wall and never sees a
student's byte: channels pass through it as file descriptors, unread.

At level `full` a worker is the last of a chain of three forks:

    zygote ── entrant (leaves every namespace, then ends) ── process 1 (reaps, reports) ── worker (the student's)

The entrant's child is adopted by the zygote, which can so kill it, and with it the whole process namespace.
At the other levels the zygote forks the worker itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from typing import Any, NoReturn

import msgspec

from autograder.sandbox import fresh, kernel, limits, lockdown, namespaces, scratch
from autograder.sandbox.control import MAX_MESSAGE, OVERFULL, STOPPED, Operation, Reply, Request, listen
from autograder.sandbox.lockdown import Settings
from autograder.sandbox.scratch import free

GRACE_SECONDS = 0.25  # for a worker that closed its channel to end by itself
REPORT = struct.Struct("=i")


class Child:
    """A worker as its zygote knows it: the process to kill, where process 1 reports, the directory to remove."""

    def __init__(self, pid: int, processes: int, report: int | None, scratch: str | None) -> None:
        self.pid, self.processes, self.report, self.scratch = pid, processes, report, scratch
        self.overfull = False
        self.free = 0 if scratch is None else free(scratch)  # of the disk, when it began


class Zygote:
    """Answers the judge's requests, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.children: dict[int, Child] = {}
        self.forks = 0
        self.baseline = limits.baseline()
        self.expected = frozenset(int(name) for name in os.listdir("/proc/self/fd"))

    def answer(self, request: Request, descriptors: list[int]) -> Reply:
        if request.operation == Operation.FORK:
            self.fork(request, *descriptors)
            return Reply(Operation.FORK, request.worker, self.forks)
        if request.operation == Operation.STOP:
            return self.stop(request.worker, bool(request.task))
        self.reset()
        return Reply(Operation.RESET, forks=self.forks)

    # --- making workers

    def fork(self, request: Request, channel: int, output: int) -> None:
        self.check()
        self.forks += 1
        if self.settings.level == "full" and self.settings.has("namespaces"):
            self.children[request.worker] = self.fork_into_namespaces(request, channel, output)
            return
        place = tempfile.mkdtemp(dir=self.settings.scratch or None)
        # The kernel counts the threads of a user id together, so this worker's limit must leave room for the others'.
        others = sum(child.processes for child in self.children.values()) + 64
        if self.settings.shared_uid:
            others += threads_of(os.getuid())
        pid = os.fork()
        if not pid:
            lockdown.work(self.settings, request, self.baseline, others, place, channel, output)
        self.children[request.worker] = Child(pid, request.limits.processes, None, place)

    def fork_into_namespaces(self, request: Request, channel: int, output: int) -> Child:
        ours, theirs = os.pipe()
        entrant = os.fork()
        if not entrant:
            self.enter(request, channel, output, theirs)
        os.close(theirs)
        os.waitpid(entrant, 0)
        first = os.read(ours, REPORT.size)
        if len(first) == REPORT.size and (pid := REPORT.unpack(first)[0]) > 0:
            return Child(pid, request.limits.processes, ours, None)
        reason = os.read(ours, MAX_MESSAGE).decode("utf-8", "replace")
        os.close(ours)
        raise OSError(f"no namespaces for a worker: {reason or 'it died on the way'}")

    def enter(self, request: Request, channel: int, output: int, report: int) -> NoReturn:
        """Be the entrant: leave the namespaces, fork process 1, tell the zygote its number, end."""
        try:
            namespaces.enter()
            pid = os.fork()
            if not pid:
                self.be_process_1(request, channel, output, report)
            os.write(report, REPORT.pack(pid))
        except BaseException as error:
            os.write(report, REPORT.pack(-1) + f"{type(error).__name__}: {error}".encode())
        os._exit(0)

    def be_process_1(self, request: Request, channel: int, output: int, report: int) -> NoReturn:
        """Be the first process of a worker's namespace: reap, and report how the worker ended."""
        worker = os.fork()
        if not worker:
            lockdown.work(self.settings, request, self.baseline, 0, "/tmp", channel, output)
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.dup2(report, 3)
            kernel.close_from(4)
            while True:
                pid, status = os.wait()
                if pid == worker:
                    os.write(3, REPORT.pack(status))
                    break
        finally:
            os._exit(0)

    def check(self) -> None:
        """A fork copies what is here, so there must be one thread and no descriptor that was not here at the start."""
        threads = len(os.listdir("/proc/self/task"))
        if threads != 1:
            raise OSError(f"the zygote has {threads} threads; only a process with one can be forked")
        known = self.expected | {child.report for child in self.children.values() if child.report is not None}
        # The three more are those of the request and of the listing itself.
        if len(os.listdir("/proc/self/fd")) > len(known) + 3:
            raise OSError("the zygote has a file open that it did not open for itself")

    # --- ending workers

    def stop(self, number: int, going: bool) -> Reply:
        child = self.children.pop(number, None)
        if child is None:
            return Reply(Operation.STOP, number, self.forks, error="there is no such worker")
        status = self.wait(child, GRACE_SECONDS if going else 0.0)
        if status is None:
            os.kill(child.pid, signal.SIGKILL)
        if self.settings.level == "subprocess":
            # Nothing kept it from starting programs; those that stayed in its session go with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        _, raw, usage = os.wait4(child.pid, 0)
        if child.report is not None:
            if status is None and select.select([child.report], [], [], 0)[0]:
                status = read_report(child.report)
            os.close(child.report)
        elif status is not None:
            status = raw
        if child.scratch is not None:
            # What is left, if anything is, the orchestrator removes at the end.
            with contextlib.suppress(OSError):
                scratch.remove(child.scratch)
        if status is None:
            status = STOPPED
        if child.overfull:
            status = OVERFULL
        cpu = round((usage.ru_utime + usage.ru_stime) * 1e6)
        return Reply(Operation.STOP, number, self.forks, status, cpu, usage.ru_maxrss)

    def wait(self, child: Child, seconds: float) -> int | None:
        """The status of a worker that ended by itself, or None. The process itself stays to be reaped."""
        if child.report is not None:
            if select.select([child.report], [], [], seconds)[0]:
                return read_report(child.report)
            return None
        until = time.monotonic() + seconds
        while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() >= until:
                return None
            time.sleep(0.002)
        return 0

    def watch(self) -> None:
        """End workers that fill the disk, where their directory has no size of its own. They stay to be asked about."""
        if self.settings.level in ("landlock", "gpu"):
            for child in self.children.values():
                if child.scratch is None or child.overfull:
                    continue
                child.overfull = scratch.exceeds(child.scratch)
                if child.overfull or scratch.fills(child.scratch, child.free):
                    os.kill(child.pid, signal.SIGKILL)

    def reset(self) -> None:
        for number in list(self.children):
            self.stop(number, False)


def read_report(descriptor: int) -> int | None:
    data = os.read(descriptor, REPORT.size)
    return REPORT.unpack(data)[0] if len(data) == REPORT.size else None


def threads_of(uid: int) -> int:
    """Threads that run under a user id, with room for those that its other programs start meanwhile."""
    count = 256
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid == uid:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def import_everything(names: tuple[str, ...]) -> None:
    for name in names:
        importlib.import_module(name)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        # Decides once which vector instructions to use, from files that a worker cannot read.
        torch.backends.cpu.get_cpu_capability()
    # What is here now is shared by every worker: the collector need not look at it, and so does not copy its pages.
    gc.collect()
    gc.freeze()


def main(text: str) -> None:
    """Start from the settings in `text` (JSON)."""
    serve(msgspec.json.decode(text, type=Settings))


def serve(settings: Settings) -> None:
    """Get ready, say READY or why not, and answer requests until there is nobody left to ask."""
    control = socket.socket(fileno=settings.control)
    try:
        if settings.uid >= 0:
            namespaces.drop(settings.uid, settings.uid)
            settings = msgspec.structs.replace(settings, uid=-1)
        answerer: Zygote | fresh.Relay
        if settings.isolation == "fresh":
            answerer = fresh.Relay(settings)
        else:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
            import_everything(settings.imports)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
            answerer = Zygote(settings)
            answerer.check()
    except Exception as error:
        control.send(Reply(Operation.READY, error=f"{type(error).__name__}: {error}").pack())
        return
    control.send(Reply(Operation.READY).pack())
    listen(control, answerer)
