"""What can go wrong with a sandbox, as seen from outside it."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox is not what was asked for. The message is for a person: what, where, what to do."""

    exit_code = 3


class TimedOut(Exception):
    """The worker did not take or give what it should have before the deadline."""


class WorkerGone(Exception):
    """The worker ended, closed its channel, or wrote more output than anybody will read."""
