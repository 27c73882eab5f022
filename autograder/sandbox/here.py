"""A zygote for one's own code, forked from the process that asks for it. No containment: only for code one trusts.

It saves what another interpreter costs: this process has imported torch anyway, and its zygotes start from there.
"""

from __future__ import annotations

import importlib
import os
import select
import socket
import sys
from typing import NoReturn

from autograder.sandbox import kernel, zygote
from autograder.sandbox.channel import DEFAULTS, Forker, Worker, ZygoteForker
from autograder.sandbox.control import LIFELINE
from autograder.sandbox.limits import Limits
from autograder.sandbox.lockdown import Settings
from autograder.sandbox.portable import PipeForker

# Imported after the fork, while this process goes on with what it has to do. The first optimizer imports
# torch._dynamo, over a second in each worker unless its zygote has it; all other code need not wait for that.
FEW = ("numpy.random", "autograder.worker")
ALL = ("torch._dynamo", *FEW)


class ForkedHere(ZygoteForker):
    """A forker that holds its zygote's lifeline too: the zygote ends when this closes, or with this process."""

    def __init__(self, control: socket.socket, lifeline: int, pid: int) -> None:
        self._lifeline, self._pid = lifeline, pid
        super().__init__(control)

    def close(self) -> None:
        if self._lifeline >= 0:
            super().close()
            os.close(self._lifeline)
            os.waitpid(self._pid, 0)
            self._lifeline = -1

    @property
    def ready(self) -> bool:
        """Whether the zygote has said that it imported everything. Only before the first question."""
        return bool(select.select([self._control], [], [], 0)[0])


class Relay:
    """Workers from the zygote that is ready first, until the one that imports more is ready too."""

    def __init__(self, quick: ForkedHere, whole: ForkedHere) -> None:
        self._now, self._later = quick, whole
        self._both = (quick, whole)
        self.forks = 0

    def worker(self, limits: Limits = DEFAULTS, seed: int = 0) -> Worker:
        if self._now is not self._later and self._later.ready:
            self._now = self._later
        self.forks += 1
        return self._now.worker(limits, seed)

    def reset(self) -> None:
        self._now.reset()

    def close(self) -> None:
        for forker in self._both:
            forker.close()


def start_here(portable: bool = sys.platform != "linux") -> Forker:
    """A forker of unconfined workers, for one's own code. Call it before there are other threads.

    `portable` (the only way where processes are not forked) starts an interpreter for each worker instead. Raises
    SandboxError where the zygote does not start.
    """
    if portable:
        return PipeForker()
    importlib.import_module("torch")
    quick = _fork(FEW)
    return Relay(quick, _fork(ALL))


def _fork(imports: tuple[str, ...]) -> ForkedHere:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        _be_zygote(reading, theirs.fileno(), imports)
    theirs.close()
    os.close(reading)
    return ForkedHere(ours, writing, pid)


def _be_zygote(lifeline: int, control: int, imports: tuple[str, ...]) -> NoReturn:
    """Keep these two descriptors and standard error, and nothing else that the parent had open."""
    import fcntl

    try:
        os.setsid()  # so that an interrupt from the keyboard reaches the parent alone
        lifeline, control = (fcntl.fcntl(number, fcntl.F_DUPFD, 16) for number in (lifeline, control))
        os.dup2(lifeline, LIFELINE)
        os.dup2(2, 1)
        os.dup2(control, 3)
        kernel.close_from(4)
        zygote.serve(Settings("subprocess", "zygote", 3, imports))
    finally:
        os._exit(0)
