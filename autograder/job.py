"""What an orchestrator and a judge say to each other: one job, then outcomes, then the end. Both are trusted."""

from __future__ import annotations

import socket
import struct
from typing import Any

import msgspec

from autograder.course import Limits
from autograder.outcome import TestOutcome

_LENGTH = struct.Struct(">I")


class Job(msgspec.Struct, frozen=True):
    """Grade this source. `seed` fixes every draw; `only` names tests, all of them where it is empty."""

    assignment: str
    source: bytes
    seed: bytes
    course: str = ""  # folder of another course than the packaged one
    suite: str = "hidden"
    only: tuple[str, ...] = ()
    limits: Limits | None = None
    diagnose: bool = True
    shrink: bool = True  # without it a failing test says only that it fails, several times as fast


class Told(msgspec.Struct, frozen=True, tag="told"):
    """One test is over; more may follow."""

    outcome: TestOutcome


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The job is over. `forks` is how many workers the zygote has made so far."""

    outcomes: list[TestOutcome]
    seconds: float
    forks: int = 0
    flags: tuple[str, ...] = ()  # what a person should look at


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The judge could not do the job, through no fault of the submission's that it knows of."""

    reason: str
    sandbox: bool = False  # the zygote is to blame: start a new one


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The judge has started. `confined` says how its writing is confined."""

    confined: str


Message = Told | Done | Broken | Ready


def send(channel: socket.socket, message: Any, descriptors: list[int] | None = None) -> None:
    data = msgspec.msgpack.encode(message)
    prefix = _LENGTH.pack(len(data))
    if descriptors:
        socket.send_fds(channel, [prefix], descriptors)
        channel.sendall(data)
    else:
        channel.sendall(prefix + data)


def receive(channel: socket.socket, kind: Any, descriptors: int = 0) -> tuple[Any, list[int]]:
    """The next message and its file descriptors. Raises EOFError where the other side is gone."""
    prefix, passed = b"", []
    while len(prefix) < _LENGTH.size:
        if descriptors:
            piece, fds, _, _ = socket.recv_fds(channel, _LENGTH.size - len(prefix), descriptors)
            passed += fds
        else:
            piece = channel.recv(_LENGTH.size - len(prefix))
        if not piece:
            raise EOFError
        prefix += piece
    data = bytearray()
    (size,) = _LENGTH.unpack(prefix)
    while len(data) < size:
        piece = channel.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return msgspec.msgpack.decode(data, type=kind), passed
