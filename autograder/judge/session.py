"""One conversation with one worker: asks, waits, decodes, and remembers what was said.

What the code under test did wrong is an ordinary exception here (`StudentError`, `Unusable`): a test may expect it.
What ends a conversation (a timeout, a dead worker) is a BaseException: no `except Exception` in a suite, and nothing
in Hypothesis, can swallow it or try again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import numpy
import torch

from autograder import wire
from autograder.course import Limits
from autograder.outcome import Status
from autograder.wire import Target, TargetNode, TraceLine
from autograder.worker import Answerer

MAX_HANDLES = 1 << 31
MAX_EXCHANGES = 2000  # of one example; a longer one is not replayed for a diagnosis
# Of one example's arguments and answers; a trial keeps some twenty examples. A submission that answered every call with
# the largest tensor that it may send would otherwise fill the judge's memory.
MAX_KEPT_BYTES = 16 << 20
NODE_BYTES = 64  # of each value, whatever it holds


class StudentError(Exception):
    """The code under test raised."""

    def __init__(self, lineage: list[str], message: str, trace: list[TraceLine]) -> None:
        self.lineage, self.message, self.trace = lineage, message, trace
        super().__init__(f"{lineage[0]}: {message}" if message else lineage[0])


class Unusable(Exception):
    """The code under test has no such name, or returned something that cannot be compared."""


class Ended(BaseException):
    """The conversation is over, and the test with it. `status` is that of the test; `reason` is for people.

    `doubtful` is an end that something outside may have brought about, such as a kernel that is short of memory.
    """

    def __init__(self, status: Status, reason: str, *, doubtful: bool = False) -> None:
        self.status, self.reason, self.doubtful = status, reason, doubtful
        super().__init__(reason)


class Abandoned(BaseException):
    """Through no fault of the code under test no verdict can be given: `error` says why. Ends the whole run."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


class Connection(Protocol):
    """A worker, seen from the judge."""

    def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
        """The reply and its body. Raises `Ended`, `Abandoned`, or `wire.WireError` where it breaks the language."""
        ...

    def close(self) -> None: ...


class LocalConnection:
    """No boundary at all: the code runs in this process. For the reference, and to measure what the boundary costs."""

    def __init__(self) -> None:
        self._answerer = Answerer()

    def exchange(self, question: wire.Question, buffers: list[Any], seconds: float) -> tuple[wire.Reply, bytearray]:
        reply, answer = self._answerer.answer(question, bytearray(b"".join(bytes(piece) for piece in buffers)))
        return reply, bytearray(b"".join(bytes(piece) for piece in answer))

    def close(self) -> None:
        pass


class Exchange(msgspec.Struct, frozen=True):
    """A question that was asked, in values, and what came of it."""

    action: str  # "call" | "vjp" | "take" | "get" | "keep"
    target: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    result: Any = None
    error: str = ""  # the exception's class, or why the result is unusable


class Session:
    """A worker that has loaded one module, and the exchanges since the current example began."""

    def __init__(
        self, connection: Connection, name: str, source: bytes, limits: Limits, watched: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self.exchanges: list[Exchange] = []
        self.handles = 0
        self._kept = 0
        self._limits = limits
        self._connection = connection
        self._seconds_left = limits.test_seconds
        self._base = -1
        self._forget = -1
        self.ask(wire.Load(name, source, watched), wire.Encoder(), None)

    def close(self) -> None:
        self._connection.close()

    def begin_example(self) -> None:
        """Forget the exchanges and the objects of the example before; objects made before the first one stay."""
        self.exchanges, self._kept = [], 0
        if self._base < 0:
            self._base = self.handles
        self.handles = self._forget = self._base

    def ask(self, operation: wire.Operation, encoder: wire.Encoder, said: Callable[..., Exchange] | None) -> Any:
        """Send one question and return the value of its answer; `said` makes the exchange to remember."""
        nonce = os.urandom(16)
        question = wire.Question(nonce, operation, wire.sizes(encoder.buffers), self._forget)
        self._forget = -1
        if self._seconds_left <= 0:
            raise Ended("timeout", f"its calls in one test take longer than {self._limits.test_seconds:.0f} s together")
        seconds = min(self._limits.call_seconds, self._seconds_left)
        started = time.monotonic()
        try:
            reply, body = self._connection.exchange(question, encoder.buffers, seconds)
            if reply.nonce != nonce:
                raise wire.WireError("a reply does not belong to the question")
            value, error = self._outcome(reply, body, operation)
        except wire.WireError as lie:
            self._connection.close()
            self._remember(said, error="breaks the protocol")
            raise Ended("crashed", f"the process that ran the code broke the protocol: {lie}") from None
        except Ended as end:
            self._remember(said, error=end.reason)
            raise
        finally:
            self._seconds_left -= time.monotonic() - started
        text = "" if error is None else (error.lineage[0] if isinstance(error, StudentError) else str(error))
        self._remember(said, result=value, error=text)
        if error is not None:
            raise error
        return value

    def _remember(self, said: Callable[..., Exchange] | None, **came_of_it: Any) -> None:
        if said is None or len(self.exchanges) >= MAX_EXCHANGES:
            return
        exchange = said(**came_of_it)
        looked_up = exchange.action == "get" and isinstance(exchange.result, Target) and exchange.result.path
        if looked_up:  # a method, which its call will name
            return
        asked, answered = weight([exchange.args, exchange.kwargs, exchange.extra]), weight(exchange.result)
        if self._kept + asked + answered > MAX_KEPT_BYTES:
            exchange, answered = said(error="the answer was too large to keep"), 0
        self._kept += asked + answered
        if self._kept <= MAX_KEPT_BYTES:
            self.exchanges.append(exchange)

    def _outcome(
        self, reply: wire.Reply, body: bytearray, operation: wire.Operation
    ) -> tuple[Any, StudentError | Unusable | None]:
        outcome = reply.outcome
        if isinstance(outcome, wire.Answer):
            return wire.Decoder(reply.sizes, body, self._target).value(outcome.value), None
        if isinstance(outcome, wire.Raised):
            trace = [wire.TraceLine(t.line, t.function[:200], t.text[:200]) for t in outcome.trace[:12]]
            # A class can be named anything, and this name is shown: only what a `class` statement allows is taken.
            lineage = [name[:200] if name.isidentifier() else "Exception" for name in outcome.lineage[:12]]
            lineage = lineage or ["BaseException"]
            return None, StudentError(lineage, outcome.message[: wire.MAX_TEXT], trace)
        if isinstance(outcome, wire.Missing):
            target = getattr(operation, "target", None)  # its name, not the one that the reply gives
            return None, Unusable(f"there is no `{getattr(target, 'path', '') or self.name}`")
        return None, Unusable("".join(c if c.isprintable() else " " for c in outcome.reason[:300]))

    def _target(self, node: Any) -> Target:
        if not isinstance(node, TargetNode):
            raise wire.WireError(f"a reply holds a {type(node).__name__}, which only a question may")
        names = node.path.split(".") if node.path else []
        if not all(name.isidentifier() or name.isdigit() for name in names):
            raise wire.WireError("a reply names an attribute that cannot be")
        if not -1 <= node.handle < MAX_HANDLES:
            raise wire.WireError("a reply names an object that cannot be")
        if node.handle >= self.handles:
            self.handles = node.handle + 1
        return Target(node.handle, node.path[:200], node.kind[:200])


def weight(value: Any) -> int:
    """Roughly how many bytes a value takes."""
    if isinstance(value, torch.Tensor | numpy.ndarray):
        return NODE_BYTES + int(value.nbytes)
    if isinstance(value, str | bytes):
        return NODE_BYTES + len(value)
    if isinstance(value, dict):
        return NODE_BYTES + sum(weight(key) + weight(item) for key, item in value.items())
    if isinstance(value, list | tuple | frozenset):
        return NODE_BYTES + sum(map(weight, value))
    return NODE_BYTES
