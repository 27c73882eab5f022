"""Which named mistake a submission makes: the planted bug that returns what the submission returned, on every input.

When a test fails, its conversations are asked again of each planted bug of that part: the smallest failing example, and
others that this test drew, before the failure and after it. A bug that answers all of them as the submission did, the
failing one included, names the misconception. Where none does, or two with different hints do, nothing is said: a wrong
hint costs a student more than none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograder.course import Assignment, Limits
from autograder.judge.proxies import Submission
from autograder.judge.session import Connection, Ended, Exchange, Session, StudentError, Unusable
from autograder.judge.suite import Bug
from autograder.judge.trial import Trial
from autograder.likeness import alike
from autograder.suites import bugs_of
from autograder.wire import Given, Target


class Diagnosis:
    """Names mistakes in one assignment's submissions. Close it: it keeps a worker for each planted bug of one part."""

    def __init__(self, assignment: Assignment, connect: Callable[[Limits], Connection], limits: Limits) -> None:
        self._assignment, self._connect, self._limits = assignment, connect, limits
        self._bugs = bugs_of(assignment)
        self._reference = assignment.solution.read_text(encoding="utf-8")
        self._part = ""
        self._sessions: dict[str, Session] = {}

    def name(self, part: str, trial: Trial) -> tuple[str, str]:
        """(hint, evidence) for a failed test of `part`; two empty strings where unsure."""
        # No planted bug raises, so none can be the reason why a submission does.
        if trial.failure is None or not trial.failure.exchanges or isinstance(trial.failure.error, StudentError):
            return "", ""
        if part != self._part:
            self.close()
            self._part = part
        decisive = trial.failure.exchanges
        others = [talk for talk in [*trial.failed, *trial.passed, *trial.fresh] if talk and talk is not decisive]
        fits = {
            bug.hint
            for bug in self._bugs
            if bug.part == part and self._same(bug, decisive) and all(self._same(bug, talk) for talk in others)
        }
        if len(fits) != 1:
            return "", ""
        inputs = f"all {1 + len(others)} inputs that were compared" if others else "this input"
        return fits.pop(), f"A solution with this mistake returns the same on {inputs}."

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()
        self._sessions = {}

    def _same(self, bug: Bug, talk: list[Exchange]) -> bool:
        """Whether the reference with this bug answers a conversation as the submission did."""
        try:
            session = self._sessions.get(bug.name)
            if session is None:
                source = bug.plant(self._reference).encode()
                connection = self._connect(self._limits)
                session = self._sessions[bug.name] = Session(connection, self._assignment.name, source, self._limits)
            session.begin_example()
            return replay(session, talk)
        except (Ended, StudentError):
            if session is not None:
                session.close()
            self._sessions.pop(bug.name, None)
            return False


def replay(session: Session, talk: list[Exchange]) -> bool:
    """Ask the same questions again; True if every answer is the same."""
    submission = Submission(session)
    handles: dict[int, int] = {}
    for exchange in talk:
        try:
            result, error = _ask(submission, exchange, handles), ""
        except StudentError as raised:
            result, error = None, raised.lineage[0]
        except Unusable as unusable:
            result, error = None, str(unusable)
        if error != exchange.error or not alike(_plain(result), exchange.result, handles):
            return False
    return True


def _ask(submission: Submission, exchange: Exchange, handles: dict[int, int]) -> Any:
    args = [_moved(value, handles) for value in exchange.args]
    kwargs = {name: _moved(value, handles) for name, value in exchange.kwargs.items()}
    if exchange.action == "keep":
        return submission.keep(exchange.target)
    target = _moved(exchange.target, handles)
    if isinstance(target, Given):
        return submission.make(target, *args, **kwargs)
    proxy = submission.proxy(target)
    if exchange.action == "get":
        return submission.read(target)
    if exchange.action == "take":
        return submission.take(proxy, exchange.args[0])
    if exchange.action == "vjp":
        return submission.vjp(proxy, *args, cotangent=exchange.extra["cotangents"], wrt=exchange.extra["wrt"], **kwargs)
    return submission.echo(proxy, *args, **kwargs) if exchange.extra.get("echo") else proxy(*args, **kwargs)


def _moved(value: Any, handles: dict[int, int]) -> Any:
    """The value with the numbers of the first conversation's handles replaced by this one's."""
    if isinstance(value, Target):
        return Target(handles.get(value.handle, value.handle), value.path, value.kind) if value.handle >= 0 else value
    if type(value) in (list, tuple):
        return type(value)(_moved(item, handles) for item in value)
    if type(value) is dict:
        return {key: _moved(item, handles) for key, item in value.items()}
    return value


def _plain(value: Any) -> Any:
    target = getattr(value, "_target", None)
    if isinstance(target, Target):
        return target
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value
