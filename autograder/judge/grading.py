"""Runs a suite against one submission: pytest collects and orders, this plugin decides what each test was worth.

A verdict is made here from what the judge saw, never from what the submission printed, raised or exited with. A test
that the judge itself could not finish is an `error`: no points, and a person is asked to look.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from autograder import watch, wire
from autograder.course import Assignment, Limits
from autograder.judge.checks import Mismatch
from autograder.judge.proxies import Submission
from autograder.judge.session import Abandoned, Connection, Ended, Session, StudentError, Unusable
from autograder.judge.show import brief, snippet
from autograder.judge.suite import Mark, reference, sentence, use
from autograder.judge.trial import MAX_SHRINKS, EnoughShrinking, Failure, Trial, set_trial
from autograder.outcome import Status, TestOutcome, TraceEntry
from autograder.wire import Target

MAX_MESSAGE = 4000  # characters
MAX_SNIPPET = 256 << 10  # characters: what a submission returned may be the next call's argument, and large
MAX_FLAGS = 20  # sentences
MAX_TIMEOUTS = 3  # after the third the submission has had its chances, and the class is waiting
OUT_OF_MEMORY = ("can't allocate memory", "std::bad_alloc", "not enough memory")

Connect = Callable[[Limits], Connection]
Diagnose = Callable[[str, Trial], tuple[str, str]]
Watch = Callable[[Callable[..., Any]], Callable[..., Any]]


class Plan:
    """What to run: a suite, the submission's source, the seed, the limits, and how to get a worker."""

    def __init__(
        self,
        assignment: Assignment,
        source: bytes,
        connect: Connect,
        *,
        seed: bytes,
        suite: str = "hidden",
        only: Sequence[str] = (),
        limits: Limits | None = None,
        diagnose: Diagnose | None = None,
        tell: Callable[[TestOutcome], None] | None = None,
        shrink: bool = True,
        flag: Callable[[str], None] | None = None,
    ) -> None:
        self.assignment, self.source, self.connect, self.seed = assignment, source, connect, seed
        self.path = _tests(assignment, suite)
        self.only, self.limits = frozenset(only), limits or assignment.limits
        self.diagnose, self.tell, self.shrink, self.flag = diagnose, tell, shrink, flag


def grade(plan: Plan) -> list[TestOutcome]:
    """Run every test of the plan (or those named in `only`) and say what each was worth."""
    use(plan.assignment)
    grader = _Grader(plan)
    grader.run()
    scored = [own for own in grader.outcomes if own.kind != "advisory"]
    late = {own.test for own in scored if own.status == "timeout"}
    if len(late) >= MAX_TIMEOUTS and grader.unloadable is None:
        late = set()
    late |= grader.doubtful & {own.test for own in scored}
    if late:
        # What may be the machine's doing counts only if it happens again, alone, with twice the time: it may have been
        # busy, or short of memory and killing what it found.
        unmeasured = {own.test for own in grader.outcomes if own.kind == "advisory" and own.status == "skipped"}
        again = _Grader(plan, only=frozenset(late | unmeasured) | grader.waiting, patience=2.0)
        again.failed_parts = {
            own.part for own in scored if own.status not in ("passed", "skipped") and own.test not in late
        }
        again.run()
        second = {outcome.test: outcome for outcome in again.outcomes}
        grader.outcomes = [second.get(outcome.test, outcome) for outcome in grader.outcomes]
    return grader.outcomes


def warm_up(assignment: Assignment, suite: str = "hidden") -> None:
    """Load what every run of this suite loads, so that a process that forks for each submission does it once.

    A fault of the suite is no news here: the run itself will report it.
    """
    use(assignment)
    _draw_something()
    with contextlib.suppress(Exception):
        _pytest(_tests(assignment, suite), [_fixture(assignment.name)], "--collect-only")
        if assignment.solution.is_file():
            reference(assignment.name)


@hypothesis.settings(max_examples=2, database=None)
@hypothesis.given(st.tuples(st.data(), st.text(), st.floats(), st.lists(st.integers())))
def _draw_something(drawn: object) -> None:
    """Hypothesis builds its tables of characters (over a second) and loads half of its modules at the first draw."""


def test_seed(seed: bytes, test: str) -> int:
    """The draws of one test, from the submission's seed."""
    return int.from_bytes(hmac.digest(seed, test.encode(), hashlib.sha256)[:8], "big")


class _Grader:
    """A pytest plugin for one run over one submission."""

    def __init__(self, plan: Plan, only: frozenset[str] = frozenset(), patience: float = 1.0) -> None:
        self.plan = plan
        self.outcomes: list[TestOutcome] = []
        self._only = only or plan.only
        self._limits = Limits(
            **{
                **{f: getattr(plan.limits, f) for f in plan.limits.__struct_fields__},
                "call_seconds": plan.limits.call_seconds * patience,
                "test_seconds": plan.limits.test_seconds * patience,
                "submission_seconds": plan.limits.submission_seconds * patience,
            }
        )
        self._started = time.monotonic()
        self.failed_parts: set[str] = set()
        self.waiting: frozenset[str] = frozenset()  # tests of parts that need a failed one
        self._stopped = ""
        self.doubtful: set[str] = set()  # tests whose worker something else may have killed
        self._timeouts = 0
        self._interrupted = False
        self._abandoned: Exception | None = None
        self.unloadable: tuple[Status, str, list[TraceEntry], str] | None = None
        self._doubtful_load = False
        self._loaded: Session | None = None  # where the file was imported, for the first test

    # --- pytest

    def run(self) -> None:
        try:
            self._try_to_load()
            code, log = _pytest(self.plan.path, [self, _fixture(self.plan.assignment.name)])
        except Abandoned as end:
            raise end.error from None
        finally:
            if self._loaded is not None:
                self._loaded.close()
        if self._interrupted:
            raise KeyboardInterrupt
        if self._abandoned is not None:
            raise self._abandoned
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not self.outcomes:
            raise RuntimeError(f"the suite {self.plan.path} could not be run (pytest: {code!r}): {log[-2000:]}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._interrupted = excinfo.type is KeyboardInterrupt  # pytest also ends a failed collection this way

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = {part.name: position for position, part in enumerate(self.plan.assignment.parts)}
        marked: list[pytest.Item] = []
        for item in items:
            mark = getattr(getattr(item, "function", None), "autograder", None)
            if not isinstance(mark, Mark) or mark.part not in order:
                raise pytest.UsageError(f"{item.name} names no part of {self.plan.assignment.name}")
            if not self._only or item.name in self._only:
                marked.append(item)
        # Advisory tests come last: they must not use up what the others need.
        marks: list[Mark] = [item.function.autograder for item in marked]  # type: ignore[attr-defined]
        places = [(mark.kind == "advisory", order[mark.part]) for mark in marks]
        items[:] = [item for _, item in sorted(zip(places, marked), key=lambda pair: pair[0])]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        test = pyfuncitem.obj
        started = time.monotonic()
        try:
            outcome = self._outcome(pyfuncitem.name, test, test.autograder)
        except Abandoned as end:
            self._abandoned = end.error
            pyfuncitem.session.shouldstop = "no verdict can be given"
            return True
        except Exception as error:  # a fault of the judge's own must not make a test disappear
            outcome = _blank(pyfuncitem.name, test, test.autograder)
            _blame_the_judge(outcome, error)
        outcome.seconds = round(time.monotonic() - started, 3)
        self.outcomes.append(outcome)
        if outcome.status != "passed" and outcome.kind != "advisory":
            self.failed_parts.add(outcome.part)
        if self.plan.tell is not None:
            self.plan.tell(outcome)
        return True

    # --- one test

    def _outcome(self, name: str, test: Callable[..., Any], mark: Mark) -> TestOutcome:
        outcome = _blank(name, test, mark)
        if self.unloadable is not None:
            outcome.status, outcome.reason, outcome.trace, outcome.message = self.unloadable
            self.doubtful |= {name} if self._doubtful_load else set()
            return outcome
        if self._stopped:
            outcome.status, outcome.reason = "skipped", self._stopped
            return outcome
        missing = [p for p in self.plan.assignment.part(mark.part).requires if p in self.failed_parts]
        if missing and not self.plan.only:
            self.waiting |= {name}
            outcome.status, outcome.reason = "skipped", f"needs {' and '.join(missing)}, which failed"
            return outcome
        if mark.kind == "advisory" and mark.part in self.failed_parts:
            outcome.status, outcome.reason = "skipped", f"measured only where {mark.part} is right"
            return outcome
        seed = test_seed(self.plan.seed, name)
        session, self._loaded = self._loaded, None
        try:
            session = session or self._session()
        except Ended as end:
            outcome.status, outcome.reason = end.status, end.reason
            self.doubtful |= {name} if end.doubtful else set()
            return outcome
        except (StudentError, Unusable) as error:  # it could be imported a moment ago
            outcome.status, outcome.reason, outcome.trace, outcome.message = self._not_imported(error)
            return outcome
        trial = Trial(session, seed, MAX_SHRINKS if self.plan.shrink else 0, self._reference)
        set_trial(trial)
        try:
            self._run(test, session, trial.wrap, seed)
        except EnoughShrinking:
            pass
        except Ended as end:
            self._timeouts += end.status == "timeout"
            if self._timeouts >= MAX_TIMEOUTS:
                self._stopped = f"not run: {MAX_TIMEOUTS} tests before it ran out of time"
            # What failed has failed, also where time runs out as it shrinks or where it kills itself to be asked again.
            if trial.failure is None or not (end.status == "timeout" or end.doubtful):
                outcome.status, outcome.reason = end.status, end.reason
                self.doubtful |= {name} if end.doubtful else set()
                self._describe(outcome, session.exchanges)
                return self._earned(outcome)
        except Flaky:
            if not trial.enough:
                outcome.status, outcome.reason = "failed", "gives different answers to the same question"
        except Exception as error:
            if trial.failure is None or trial.failure.error is not error:
                trial.failure = Failure(session.exchanges, error)
        finally:
            self._look(session)
            session.close()
        outcome.examples, outcome.figure = trial.examples, trial.figure
        if trial.failure is not None:
            self._judge_failure(outcome, trial.failure, test)
            if outcome.status == "failed" and self.plan.diagnose is not None:
                self._gather(test, trial, trial.failure.error)
                outcome.hint, outcome.hint_evidence = self.plan.diagnose(mark.part, trial)
        return self._earned(outcome)

    def _run(self, test: Callable[..., Any], session: Session, watch: Watch, seed: int) -> None:
        submission = Submission(session)
        handle = getattr(test, "hypothesis", None)
        if handle is None:
            test(submission)
            return
        inner = handle.inner_test
        handle.inner_test = watch(inner)
        try:
            hypothesis.seed(seed)(test)(submission)
        finally:
            handle.inner_test = inner

    def _gather(self, test: Callable[..., Any], trial: Trial, error: Exception) -> None:
        """Draw more inputs, of all sizes: the failure ended the draws. Whatever they bring is no news of the test."""
        if not hasattr(test, "hypothesis") or isinstance(error, StudentError):
            return
        with contextlib.suppress(Exception, Ended, EnoughShrinking), contextlib.closing(self._session()) as session:
            trial.session = session
            self._run(test, session, trial.gather, trial.seed + 1)

    def _session(self) -> Session:
        left = self._limits.submission_seconds - (time.monotonic() - self._started)
        if left <= 0:
            self._stopped = f"the submission used up its {self._limits.submission_seconds:.0f} s"
            raise Ended("timeout", self._stopped)
        connection = self.plan.connect(self._limits)
        try:
            watched = self.plan.assignment.flagged if self.plan.flag is not None else ()
            return Session(connection, self.plan.assignment.name, self.plan.source, self._limits, watched)
        except BaseException:
            connection.close()
            raise

    def _look(self, session: Session) -> None:
        """Flag what the worker saw of the watched names. It may have died, or lie: only our own sentences are taken."""
        if self.plan.flag is None or not self.plan.assignment.flagged:
            return
        with contextlib.suppress(Exception, Ended):
            for text in session.ask(wire.Seen(), wire.Encoder(), None)[:MAX_FLAGS]:
                if isinstance(text, str) and watch.said(text, self.plan.assignment.flagged):
                    self.plan.flag(text)

    def _try_to_load(self) -> None:
        """What happens when the file is imported: if that fails, every test has the same reason."""
        try:
            self._loaded = self._session()
            self._look(self._loaded)
        except (StudentError, Unusable) as error:
            self.unloadable = self._not_imported(error)
        except Ended as end:
            self.unloadable = (end.status, f"importing {self.plan.assignment.module}: {end.reason}", [], "")
            self._doubtful_load = end.doubtful

    def _not_imported(self, error: StudentError | Unusable) -> tuple[Status, str, list[TraceEntry], str]:
        module = self.plan.assignment.module
        if isinstance(error, Unusable):
            return "failed", f"{module} cannot be imported", [], str(error)
        where = f" in line {error.trace[-1].line}" if error.trace else ""
        return "failed", f"{module} cannot be imported: {error.lineage[0]}{where}", _trace(error), error.message

    def _judge_failure(self, outcome: TestOutcome, failure: Failure, test: Callable[..., Any]) -> None:
        error = failure.error
        outcome.status = "failed"
        if isinstance(error, StudentError):
            outcome.trace = _trace(error)
            if error.lineage[0] == "NotImplementedError":
                outcome.reason = "is not written yet"
            elif "MemoryError" in error.lineage or any(sign in error.message for sign in OUT_OF_MEMORY):
                outcome.status, outcome.reason = "out_of_memory", f"needs more than {self._limits.memory_mebibytes} MiB"
            else:
                # The message may be text of the submission's own making, so the class name must do for hidden parts.
                outcome.reason = f"raises {error.lineage[0]}"
                outcome.message = error.message
        elif isinstance(error, Mismatch):
            outcome.reason = outcome.reason or error.reason
            outcome.returned = _shown(error.returned, error.shown)
            outcome.expected = _shown(error.expected, error.shown)
        elif isinstance(error, Unusable):
            outcome.reason = str(error)
        elif isinstance(error, AssertionError):
            outcome.reason = (str(error).splitlines() or ["does not hold"])[0][:400]
        elif self._reference_survives(test):
            # The test expects values of the right kind and met others: the submission's mistake, not the judge's.
            outcome.reason = "returns something of a kind that is not expected here"
            outcome.message = f"{type(error).__name__}: {error}"[:MAX_MESSAGE]  # a KeyError says its key
        else:
            _blame_the_judge(outcome, error)
        self._describe(outcome, failure.exchanges)

    def _reference_survives(self, test: Callable[..., Any]) -> bool:
        """Whether the reference passes this test on the same draws. A student's kit has no reference, and no faults."""
        assignment = self.plan.assignment
        if not assignment.solution.is_file():
            return True
        session: Session | None = None
        try:
            session = self._reference()
            trial = Trial(session, test_seed(self.plan.seed, test.__name__), reference=self._reference)
            set_trial(trial)
            self._run(test, session, trial.wrap, trial.seed)
        except (Exception, Ended, EnoughShrinking):
            return False
        finally:
            if session is not None:
                session.close()
        return True

    def _reference(self) -> Session:
        """A conversation with the reference, in a worker of its own."""
        assignment = self.plan.assignment
        connection = self.plan.connect(self._limits)
        try:
            return Session(connection, assignment.name, assignment.solution.read_bytes(), self._limits)
        except BaseException:
            connection.close()
            raise

    def _describe(self, outcome: TestOutcome, exchanges: list[Any]) -> None:
        if not exchanges:
            return
        last = exchanges[-1]
        outcome.calls = [call(exchange) for exchange in exchanges[-6:]]
        if (
            not outcome.returned
            and outcome.status == "failed"
            and not last.error
            and not isinstance(last.result, Target)
        ):
            outcome.returned = brief(last.result)
        script = snippet(self.plan.assignment.name, exchanges)
        outcome.snippet = script if len(script) <= MAX_SNIPPET else ""

    @staticmethod
    def _earned(outcome: TestOutcome) -> TestOutcome:
        outcome.earned = outcome.points if outcome.status == "passed" else 0
        return outcome


def _blank(name: str, test: Callable[..., Any], mark: Mark) -> TestOutcome:
    return TestOutcome(
        test=name, part=mark.part, points=mark.points, kind=mark.kind, status="passed", sentence=sentence(test)
    )


def _blame_the_judge(outcome: TestOutcome, error: Exception) -> None:
    outcome.status = "error"
    outcome.reason = f"the judge could not finish this test: {type(error).__name__}: {error}"[:400]
    outcome.message = "".join(traceback.format_exception(error))[-MAX_MESSAGE:]


def _tests(assignment: Assignment, suite: str) -> Path:
    return assignment.suite if suite == "hidden" else assignment.public_tests


def _pytest(path: Path, plugins: list[object], *more: str) -> tuple[int | pytest.ExitCode, str]:
    """Run pytest on `path` with our plugins and none of this machine's settings: its exit code, and what it said."""
    log = io.StringIO()
    arguments = [
        str(path), "-q", "--import-mode=importlib", "--rootdir", str(path.parent),
        "-c", "/dev/null" if sys.platform != "win32" else "nul", "--capture=no", "-p", "no:cacheprovider",
        "-p", "no:faulthandler", "-p", "no:logging", "-p", "no:unraisableexception", "--noconftest", *more,
    ]  # fmt: skip
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        return pytest.main(arguments, plugins=plugins), log.getvalue()


def _fixture(name: str) -> object:
    """A plugin with one fixture, so that pytest lets a test name the submission as its first argument."""

    class Named:
        submission = pytest.fixture(name=name)(staticmethod(lambda: None))

    return Named()


def call(exchange: Any) -> str:
    """One exchange as a line for people: `softmax(tensor([[0.0]]), dim=-1)`."""
    target = brief(exchange.target)
    if exchange.action == "get":
        return f"{target}.{exchange.target.path}" if exchange.target.handle >= 0 else target
    if exchange.action == "keep":
        return brief(exchange.target)
    if exchange.action == "take":
        return f"next {exchange.args[0]} items of {target}"
    if isinstance(exchange.target, Target) and exchange.target.handle >= 0:
        target = f"<object>.{exchange.target.path}" if exchange.target.path else "<object>"
    parts = [brief(value, 300) for value in exchange.args] + [
        f"{k}={brief(v, 300)}" for k, v in exchange.kwargs.items()
    ]
    text = f"{target}({', '.join(parts)})"
    if exchange.action == "vjp":
        text = f"gradient of {text} with respect to {', '.join(map(str, exchange.extra['wrt']))}"
    return text


def _shown(value: Any, literally: bool) -> str:
    if value is None:
        return ""
    return str(value) if literally else brief(value)


def _trace(error: StudentError) -> list[TraceEntry]:
    return [TraceEntry(step.line, step.function, step.text) for step in error.trace]
