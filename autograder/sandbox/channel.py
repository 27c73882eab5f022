"""A worker as the judge sees it: bytes in, bytes out, a deadline on everything, and how it ended.

What comes out of a channel was written by the student's process. Nothing here looks at it: `receive` returns as many
bytes as asked for, or raises.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from autograder.sandbox.control import MAX_MESSAGE, OVERFULL, READY, Operation, Reply, Request, Task
from autograder.sandbox.errors import SandboxError, TimedOut, WorkerGone
from autograder.sandbox.limits import Limits

CONTROL_SECONDS = 60.0  # for the zygote, which is ours, to do one thing; a fresh one must import torch
LOCKDOWN_SECONDS = 30.0  # for a worker to be locked down
MOST_OUTPUT_BYTES = 64 << 20
DEFAULTS = Limits()
BUFFER_BYTES = 1 << 20  # of a channel, each way

Buffer = bytes | bytearray | memoryview


class Ended(msgspec.Struct, frozen=True):
    """How a worker ended. `code` or `signal` is there where it ended by itself; `output` is what it printed last.

    `flooded` is one that printed, or wrote to files, more than anybody will keep.
    """

    how: Literal["exited", "signalled", "stopped", "flooded"]
    code: int | None = None
    signal: int | None = None
    cpu_seconds: float = 0.0
    peak_mebibytes: float | None = None  # resident memory, pages that it shares with its zygote included
    output: bytes = b""


class Output:
    """The end of what a worker prints, read as it comes so that the worker never waits for us."""

    def __init__(self, descriptor: int, keep: int) -> None:
        self.descriptor, self.keep = descriptor, keep
        self.total, self.open = 0, True
        self._tail = bytearray()
        os.set_blocking(descriptor, False)

    def drain(self) -> None:
        """Take what is there. Raises WorkerGone past the most that a worker may print."""
        while self.open:
            try:
                piece = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                return
            if not piece:
                self.open = False
            self.total += len(piece)
            self._tail += piece
            del self._tail[: -self.keep or None]
            if self.flooded:
                raise WorkerGone(f"it printed more than {MOST_OUTPUT_BYTES >> 20} MiB")

    @property
    def flooded(self) -> bool:
        return self.total > MOST_OUTPUT_BYTES

    def close(self) -> bytes:
        with contextlib.suppress(WorkerGone):
            self.drain()
        os.close(self.descriptor)
        return bytes(self._tail)


class Worker(Protocol):
    """One sandboxed process. A context manager: leaving it stops the worker."""

    def pending(self) -> bool:
        """Whether the worker has said something that was not received. One that is gone is found out by asking it."""

    def send(self, buffers: Iterable[Buffer], seconds: float) -> None:
        """Write all of `buffers`. Raises TimedOut where the worker does not read them in time, or WorkerGone."""

    def receive(self, size: int, seconds: float) -> bytearray:
        """Exactly `size` bytes. Raises TimedOut or WorkerGone. The caller bounds `size`."""

    def stop(self) -> Ended:
        """End the worker and all that it started. A second call returns the same."""

    def __enter__(self) -> Worker: ...

    def __exit__(self, *exception: object) -> None: ...


class Forker(Protocol):
    """Where workers come from. One question at a time; safe to share among threads.

    `forks` is how many workers were made: the orchestrator starts a new zygote after some hundreds, so that no two
    students meet the same memory layout for long.
    """

    forks: int

    def worker(self, limits: Limits = ..., seed: int = 0) -> Worker:
        """A new worker, locked down and ready to read. Raises SandboxError.

        `seed` (below 2**64) is where its global random states start; they are the same in every worker otherwise.
        """

    def reset(self) -> None:
        """Stop every worker that is left."""

    def close(self) -> None:
        """Let go. What was started here ends."""


class SocketWorker:
    """A worker that a zygote forked, at the other end of a socket."""

    def __init__(self, forker: ZygoteForker, number: int, channel: socket.socket, output: Output) -> None:
        self._forker, self._number, self._channel, self._output = forker, number, channel, output
        self._gone = False
        self._ended: Ended | None = None
        channel.setblocking(False)

    def fileno(self) -> int:
        return self._channel.fileno()

    def pending(self) -> bool:
        try:
            return bool(self._channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:  # nothing to read, or nobody there
            return False

    def send(self, buffers: Iterable[Buffer], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        pieces = [memoryview(piece).cast("B") for piece in buffers if len(memoryview(piece).cast("B"))]
        while pieces:
            try:
                sent = self._channel.sendmsg(pieces[:64])
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
                continue
            except OSError as error:
                raise self._lost() from error
            while pieces and sent >= len(pieces[0]):
                sent -= len(pieces.pop(0))
            if sent:
                pieces[0] = pieces[0][sent:]

    def receive(self, size: int, seconds: float) -> bytearray:
        deadline = time.monotonic() + seconds
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            try:
                count = self._channel.recv_into(view[got:])
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError as error:
                raise self._lost() from error
            if not count:
                raise self._lost()
            got += count
        return data

    def stop(self) -> Ended:
        if self._ended is None:
            # Before the channel closes: a worker that meets its end would exit by itself, and seem to have chosen to.
            try:
                reply = self._forker._ask(Request(Operation.STOP, self._number, int(self._gone)))
            finally:
                self._channel.close()
            flooded = self._output.flooded
            self._ended = _ended(reply, flooded, self._output.close())
        return self._ended

    def __enter__(self) -> SocketWorker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _wait(self, event: int, deadline: float) -> None:
        """Until the channel is ready for `event`; meanwhile what the worker prints is read."""
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimedOut
            poll = select.poll()
            poll.register(self._channel, event)
            if self._output.open:
                poll.register(self._output.descriptor, select.POLLIN)
            ready = dict(poll.poll(remaining * 1000))
            if self._output.descriptor in ready:
                self._output.drain()
            if self._channel.fileno() in ready:
                return

    def _lost(self) -> WorkerGone:
        self._gone = True
        return WorkerGone("it ended or closed its channel")


def _ended(reply: Reply, flooded: bool, output: bytes) -> Ended:
    cpu_seconds, peak = reply.cpu_microseconds / 1e6, reply.peak_kibibytes / 1024
    if reply.status < 0:
        how: Literal["flooded", "stopped"] = "flooded" if flooded or reply.status == OVERFULL else "stopped"
        return Ended(how, None, None, cpu_seconds, peak, output)
    if os.WIFSIGNALED(reply.status):
        return Ended("signalled", None, os.WTERMSIG(reply.status), cpu_seconds, peak, output)
    return Ended("exited", os.WEXITSTATUS(reply.status), None, cpu_seconds, peak, output)


class ZygoteForker:
    """The judge's hold on a zygote."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.forks = 0
        control.settimeout(CONTROL_SECONDS)

    def worker(self, limits: Limits = DEFAULTS, seed: int = 0) -> SocketWorker:
        return self.start(Task.SERVE, limits, seed)

    def start(self, task: Task, limits: Limits, seed: int = 0) -> SocketWorker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        reading, writing = os.pipe()
        number = next(self._numbers)
        try:
            self._ask(Request(Operation.FORK, number, task, seed, limits), [theirs.fileno(), writing])
        except SandboxError:
            ours.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)
        worker = SocketWorker(self, number, ours, Output(reading, limits.output_bytes))
        try:
            if worker.receive(1, LOCKDOWN_SECONDS) != READY:
                raise SandboxError(f"a worker could not be locked down: {_reason(worker)}")
        except (TimedOut, WorkerGone) as error:
            raise SandboxError(f"a worker died while it was locked down: {worker.stop()}") from error
        except SandboxError:
            worker.stop()
            raise
        return worker

    def reset(self) -> None:
        self._ask(Request(Operation.RESET))

    def close(self) -> None:
        self._control.close()

    def _ask(self, request: Request, descriptors: Iterable[int] = ()) -> Reply:
        with self._lock:
            try:
                socket.send_fds(self._control, [request.pack()], list(descriptors))
                while True:
                    data = self._control.recv(MAX_MESSAGE)
                    if not data:
                        raise ConnectionResetError("it closed its socket")
                    reply = Reply.unpack(data)
                    if reply.operation == Operation.READY and reply.error:
                        raise SandboxError(f"the zygote did not start: {reply.error}")
                    # Anything else is an answer to a judge that did not wait for it.
                    if (reply.operation, reply.worker) == (request.operation, request.worker):
                        break
            except OSError as error:
                raise SandboxError(f"the sandbox's zygote is gone ({error}); start a new one") from error
        self.forks = max(self.forks, reply.forks)
        if reply.error and request.operation != Operation.STOP:
            raise SandboxError(f"the sandbox made no worker: {reply.error}")
        return reply


def _reason(worker: SocketWorker) -> str:
    text = bytearray()
    with contextlib.suppress(TimedOut, WorkerGone):
        while len(text) < MAX_MESSAGE:
            text += worker.receive(1, 1.0)
    return text.decode("utf-8", "replace")


def attach(control: int) -> Forker:
    """In the judge: take over the zygote behind an inherited file descriptor. Raises SandboxError.

    -1, which is what there is to inherit where processes are not forked, is the portable forker of one's own code.
    """
    if control < 0:
        from autograder.sandbox.portable import PipeForker

        return PipeForker()
    forker = ZygoteForker(socket.socket(fileno=os.dup(control)))
    forker.reset()
    return forker
