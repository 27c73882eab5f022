"""One test against one submission: its examples, the smallest that failed, and what to keep of the others.

Hypothesis only ever tries examples that are simpler than the simplest failing one that it knows, so the last example
that failed is the smallest. That lets shrinking end after a number of calls, whatever the machine's speed: a time limit
would make the counterexample, and with it the record, depend on how busy the machine was.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec
from hypothesis.errors import UnsatisfiedAssumption

from autograder.judge.session import Exchange, Session, StudentError

MAX_SHRINKS = 250  # examples tried after the first failure
FRESH = 10  # conversations drawn anew for a diagnosis, for small inputs make different mistakes look alike
KEPT = 6  # conversations kept for a diagnosis: the first that passed, and the first that failed, before they shrink


class EnoughShrinking(BaseException):
    """The smallest failing example so far is good enough."""


class Failure(msgspec.Struct):
    """An example that failed: what was said, and the exception."""

    exchanges: list[Exchange]
    error: Exception


class Trial:
    """Watches the examples of one test. `seed` fixes its draws."""

    def __init__(
        self, session: Session, seed: int, max_shrinks: int = MAX_SHRINKS,
        reference: Callable[[], Session] | None = None,
    ) -> None:  # fmt: skip
        self.session, self.seed, self._max_shrinks = session, seed, max_shrinks
        self.reference = reference  # opens a conversation with the reference, in a worker like this one
        self.failure: Failure | None = None
        self.passed: list[list[Exchange]] = []
        self.failed: list[list[Exchange]] = []
        self.fresh: list[list[Exchange]] = []
        self.examples = 0
        self.enough = False  # shrinking was ended here, and what Hypothesis says of that is no news
        self.figure: float | None = None  # what an advisory test measured
        self._tries = 0

    def wrap(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """The body of a `@given` test, with each example watched."""

        def example(*args: Any, **kwargs: Any) -> Any:
            self.begin()
            try:
                result = test(*args, **kwargs)
            except Exception as error:
                self.end(error)
                raise
            self.end(None)
            return result

        return example

    def gather(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """The body of a `@given` test that only collects conversations, whatever comes of them."""

        def example(*args: Any, **kwargs: Any) -> None:
            if len(self.fresh) == FRESH:
                raise EnoughShrinking
            self.session.begin_example()
            try:
                test(*args, **kwargs)
            except UnsatisfiedAssumption:
                raise
            except Exception:
                pass
            self.fresh.append(self.session.exchanges)

        return example

    def begin(self) -> None:
        self.session.begin_example()
        self.examples += 1
        if self.failure is not None:
            self._tries += 1
            if self._tries > self._max_shrinks:
                self.enough = True
                raise EnoughShrinking

    def end(self, error: BaseException | None) -> None:
        if error is None:
            if len(self.passed) < KEPT:
                self.passed.append(self.session.exchanges)
        elif isinstance(error, Exception) and not isinstance(error, UnsatisfiedAssumption):
            self.failure = Failure(self.session.exchanges, error)
            if isinstance(error, StudentError) and error.lineage[0] == "NotImplementedError":
                self._max_shrinks = 0  # no input is simpler to understand than another
            if len(self.failed) < KEPT:
                self.failed.append(self.session.exchanges)


_current: ContextVar[Trial] = ContextVar("trial")


def current_trial() -> Trial:
    """The trial that is going on."""
    return _current.get()


def set_trial(trial: Trial) -> None:
    _current.set(trial)
