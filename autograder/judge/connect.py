"""Workers in a sandbox, as the conversations of this package need them."""

from __future__ import annotations

import signal
import time
from typing import Any

from autograder import sandbox, wire
from autograder.course import Limits
from autograder.judge.session import Ended


class SandboxConnection:
    """One worker behind the boundary. Every fault of its own ends the conversation, and nothing else."""

    def __init__(self, forker: sandbox.Forker, limits: Limits) -> None:
        self._limits = limits
        self._worker = forker.worker(
            sandbox.Limits(
                memory_mebibytes=limits.memory_mebibytes,
                cpu_seconds=int(2 * limits.test_seconds) + 1,
                file_mebibytes=limits.file_mebibytes,
                processes=limits.threads,
                output_bytes=limits.output_kibibytes << 10,
            )
        )

    def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
        deadline = time.monotonic() + seconds
        try:
            if self._worker.pending():
                raise wire.WireError("it spoke without being asked")
            self._worker.send(wire.frame(question, buffers), max(0.0, deadline - time.monotonic()))
            prefix = self._worker.receive(wire.PREFIX.size, max(0.0, deadline - time.monotonic()))
            header, body = wire.lengths(bytes(prefix))
            reply = wire.reply(bytes(self._worker.receive(header, max(0.0, deadline - time.monotonic()))))
            return reply, self._worker.receive(body, max(0.0, deadline - time.monotonic()))
        except sandbox.TimedOut:
            self._worker.stop()
            raise Ended("timeout", f"takes longer than {seconds:.0f} s") from None
        except sandbox.WorkerGone:
            raise self._died() from None

    def _died(self) -> Ended:
        end = self._worker.stop()
        if end.how == "flooded":
            return Ended("crashed", "prints more than anybody will read")
        if end.signal == signal.SIGXCPU:
            return Ended("timeout", "uses up its processor time")
        if end.signal is not None:
            return Ended("crashed", f"ends its process with signal {end.signal} ({signal.Signals(end.signal).name})")
        if end.code is not None:
            return Ended("crashed", f"ends its process with exit code {end.code}")
        return Ended("crashed", "closes its connection to the grader")

    def close(self) -> None:
        self._worker.stop()
