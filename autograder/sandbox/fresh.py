"""Isolation "fresh": each worker from an interpreter of its own, with its own memory layout. Slow; a cross-check.

The relay stands where the zygote would and answers as it does. For each worker it starts a zygote that forks only once,
so that every worker comes out of the same lock-down.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import NamedTuple

import msgspec

from autograder.sandbox.control import MAX_MESSAGE, Operation, Reply, Request
from autograder.sandbox.lockdown import Settings


class Single(NamedTuple):
    """A zygote for one worker."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    def reply(self) -> Reply:
        data = self.control.recv(MAX_MESSAGE)
        return Reply.unpack(data) if data else Reply(Operation.READY, error="a fresh interpreter ended at its start")

    def ask(self, request: Request, descriptors: list[int]) -> Reply:
        socket.send_fds(self.control, [request.pack()], descriptors)
        return self.reply()

    def end(self) -> None:
        self.control.close()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Relay:
    """Answers the judge's requests by passing each on to the zygote that it is for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.singles: dict[int, Single] = {}
        self.forks = 0

    def answer(self, request: Request, descriptors: list[int]) -> Reply:
        if request.operation == Operation.FORK:
            reply = self.fork(request, descriptors)
        elif request.operation == Operation.STOP and request.worker in self.singles:
            single = self.singles.pop(request.worker)
            reply = single.ask(request, [])
            single.end()
        elif request.operation == Operation.STOP:
            reply = Reply(Operation.STOP, request.worker, error="there is no such worker")
        else:
            self.reset()
            reply = Reply(Operation.RESET)
        return reply._replace(forks=self.forks)

    def fork(self, request: Request, descriptors: list[int]) -> Reply:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = msgspec.structs.replace(self.settings, isolation="zygote", control=theirs.fileno())
        # The command line that started this process, with the other settings at its end.
        command = [sys.executable, *sys.orig_argv[1:-1], msgspec.json.encode(settings).decode()]
        with theirs:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()], start_new_session=True
            )
        single = Single(process, ours)
        ready = single.reply()
        if ready.error:
            single.end()
            raise OSError(ready.error)
        self.forks += 1
        self.singles[request.worker] = single
        return single.ask(request, descriptors)

    def watch(self) -> None:
        """Each zygote looks after its own."""

    def reset(self) -> None:
        for single in self.singles.values():
            single.end()
        self.singles.clear()
