"""What a judge says to a zygote: one request, one reply, on a socket that keeps messages apart. No student byte here.

`FORK` comes with two file descriptors: the worker's end of its channel, and where its output goes.
"""

from __future__ import annotations

import enum
import os
import select
import socket
import struct
import time
from typing import NamedTuple, Protocol

from autograder.sandbox.limits import Limits

REQUEST = struct.Struct("<BIBQ5I")
REPLY = struct.Struct("<BIIiQI")
MAX_MESSAGE = 4096
WATCH_SECONDS = 0.25
CHANNEL = 3  # in a worker
READY, FAILED = b"R", b"F"  # the first byte that a worker writes; after FAILED comes the reason
LIFELINE = 0  # a zygote's standard input is a pipe whose other end the orchestrator holds and never writes to


class Operation(enum.IntEnum):
    READY = 0  # from the zygote, once
    FORK = 1
    STOP = 2
    RESET = 3  # a judge came: end whatever an earlier one left


class Task(enum.IntEnum):
    SERVE = 0  # answer questions about a submission
    TEST = 1  # test the sandbox from inside


class Request(NamedTuple):
    """For `STOP`, a `task` other than 0 says that the worker closed its channel and may be about to end by itself."""

    operation: Operation
    worker: int = 0
    task: int = 0
    seed: int = 0
    limits: Limits = Limits()

    def pack(self) -> bytes:
        own = self.limits
        numbers = (own.memory_mebibytes, own.cpu_seconds, own.file_mebibytes, own.files, own.processes)
        return REQUEST.pack(self.operation, self.worker, self.task, self.seed, *numbers)

    @classmethod
    def unpack(cls, data: bytes) -> Request:
        operation, worker, task, seed, *numbers = REQUEST.unpack(data)
        return cls(Operation(operation), worker, task, seed, Limits(*numbers))


class Reply(NamedTuple):
    """`status` is as `waitpid` gives it, or one of the two below where the worker did not end by itself."""

    operation: Operation
    worker: int = 0
    forks: int = 0
    status: int = 0
    cpu_microseconds: int = 0
    peak_kibibytes: int = 0
    error: str = ""

    def pack(self) -> bytes:
        return REPLY.pack(*self[:6]) + self.error.encode("utf-8", "replace")[: MAX_MESSAGE - REPLY.size]

    @classmethod
    def unpack(cls, data: bytes) -> Reply:
        operation, worker, forks, status, cpu, peak = REPLY.unpack_from(data)
        error = data[REPLY.size :].decode("utf-8", "replace")
        return cls(Operation(operation), worker, forks, status, cpu, peak, error)


STOPPED, OVERFULL = -1, -2  # by its judge; by its zygote, for what it had written


class Answerer(Protocol):
    """What stands at a zygote's end of the control socket."""

    def answer(self, request: Request, descriptors: list[int]) -> Reply:
        """Raises OSError where the request cannot be met. The descriptors are closed afterwards."""

    def watch(self) -> None:
        """Look after the workers. Called every now and then."""

    def reset(self) -> None:
        """End every worker."""


def listen(control: socket.socket, answerer: Answerer) -> None:
    """Answer requests until the judge's or the orchestrator's end closes; then every worker is gone too."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(LIFELINE, 0)
    watched = time.monotonic()
    try:
        while True:
            ready = dict(poll.poll(1000 * WATCH_SECONDS))
            if time.monotonic() - watched >= WATCH_SECONDS:
                answerer.watch()
                watched = time.monotonic()
            if LIFELINE in ready:
                break
            if not ready:
                continue
            data, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE, 2)
            if not data:
                break
            request = Request.unpack(data)
            try:
                reply = answerer.answer(request, descriptors)
            except OSError as error:
                reply = Reply(request.operation, request.worker, error=str(error))
            finally:
                for number in descriptors:
                    os.close(number)
            control.send(reply.pack())
    finally:
        answerer.reset()
