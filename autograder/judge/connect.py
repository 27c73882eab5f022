"""Workers in a sandbox, as the conversations of this package need them."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any

from autograder import sandbox, wire
from autograder.course import Limits
from autograder.judge.session import Abandoned, Ended

SIGNALS = {own.value: own.name for own in signal.Signals}  # real-time signals have no name


@contextlib.contextmanager
def _sandbox() -> Iterator[None]:
    """A sandbox that fails is no fault of the worker's: a run that went on would blame the submission for it."""
    try:
        yield
    except sandbox.SandboxError as error:
        raise Abandoned(error) from None


class SandboxConnection:
    """One worker behind the boundary. Every fault of its own ends the conversation, and nothing else."""

    def __init__(self, forker: sandbox.Forker, limits: Limits) -> None:
        with _sandbox():
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
        with _sandbox():
            return self._exchange(question, buffers, seconds)

    def _exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
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
            return Ended("crashed", "prints or writes more than anybody will keep")
        if end.signal is not None and end.signal == getattr(signal, "SIGXCPU", None):
            return Ended("timeout", "uses up its processor time")
        if end.signal is not None:
            return Ended(
                "crashed", f"ends its process with signal {end.signal} ({SIGNALS.get(end.signal, 'real-time')})",
                doubtful=end.signal == getattr(signal, "SIGKILL", None),
            )  # fmt: skip
        if end.code is not None:
            return Ended("crashed", f"ends its process with exit code {end.code}")
        return Ended("crashed", "closes its connection to the grader", doubtful=True)  # or its process 1 was killed

    def close(self) -> None:
        with _sandbox():
            self._worker.stop()


class KeptConnection:
    """The same worker for one test after another, for a student's own code where a new one costs an import of torch.

    Each test loads the module afresh; what the code did to torch itself stays. A worker that failed is replaced.
    """

    def __init__(self, forker: sandbox.Forker) -> None:
        self._forker = forker
        self._inner: SandboxConnection | None = None

    def __call__(self, limits: Limits) -> KeptConnection:
        if self._inner is None:
            self._inner = SandboxConnection(self._forker, limits)
        return self

    def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
        assert self._inner is not None
        try:
            return self._inner.exchange(question, buffers, seconds)
        except (Ended, wire.WireError):
            self._inner.close()
            self._inner = None
            raise

    def close(self) -> None:
        """The worker stays for the next test; it ends with its forker."""
