"""Workers of a sandbox from which layers are left out: what an attack does in one, asked directly.

Such a sandbox never gets past its own self-test, so the tests that need one take its first message in the test's place.
Even so nothing here is without containment: one or two layers are gone, the others and the throw-away user id stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hostile_corpus import Entry, submission

from autograder import sandbox
from autograder.course import Limits
from autograder.judge.connect import SandboxConnection
from autograder.judge.proxies import Submission
from autograder.judge.session import Abandoned, Ended, Session
from autograder.sandbox.control import MAX_MESSAGE, Operation, Reply

LIMITS = Limits(call_seconds=5.0, test_seconds=10.0, memory_mebibytes=512)


@contextlib.contextmanager
def forker(level: str, without: tuple[str, ...] = ()) -> Iterator[sandbox.Forker]:
    """Workers at a level, without some of its layers. Raises SandboxError where this machine has no such level."""
    zygote = sandbox.start(level, ["torch"], without=without)
    try:
        if without:
            zygote._control.settimeout(60.0)
            reply = Reply.unpack(zygote._control.recv(MAX_MESSAGE))
            assert (reply.operation, reply.error) == (Operation.READY, "")
        else:
            zygote.ready()
        with contextlib.closing(sandbox.attach(zygote._control.fileno())) as found:
            yield found
    finally:
        zygote.stop()


@contextlib.contextmanager
def module(workers: sandbox.Forker, source: str) -> Iterator[tuple[Submission, SandboxConnection]]:
    """A worker that has loaded this source, as a suite would see it."""
    connection = SandboxConnection(workers, LIMITS)
    try:
        yield Submission(Session(connection, "toy", source.encode(), LIMITS)), connection
    finally:
        connection.close()


def fate(workers: sandbox.Forker, own: Entry, paths: dict[str, str]) -> tuple[str, str]:
    """How an attack ends: ("won", its loot), ("nothing", ""), (an exception, its number and line) or ("died", how)."""
    try:
        with module(workers, submission(own, paths)) as (found, _):
            outcome, detail = found.fate()
            return str(outcome), str(detail)
    except Ended as end:
        return "died", end.reason
    except Abandoned as end:
        return "died", str(end.error)
