"""What a suite is written with, besides checks and draws: parts, planted bugs, the reference, state machines."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

import hypothesis
import msgspec
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.internal.constants_ast import Constants
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from autograder.course import Assignment, CourseError, open_course
from autograder.judge.trial import current_trial

Kind = Literal["value-checked", "self-reported", "advisory"]
F = TypeVar("F", bound=Callable[..., Any])

# One profile for every machine: no database (a score is a function), no explain phase (it re-runs failing examples and
# prints), no health checks about time. Registered here because `@settings` in a suite inherits it when it is imported.
hypothesis.settings.register_profile(
    "grading",
    database=None,
    deadline=None,
    max_examples=50,
    derandomize=False,
    print_blob=False,
    report_multiple_bugs=False,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink],
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("grading")

# Hypothesis draws constants that it finds in local modules, and "local" means outside site-packages: a checkout and an
# installed wheel would draw different examples. Its version is pinned exactly, so this private name is what it is.
HypothesisProvider._local_constants = Constants()  # type: ignore[assignment]


class Mark(msgspec.Struct, frozen=True):
    """What `@part` says of a test."""

    part: str
    points: int
    kind: Kind


def part(name: str, points: int = 0, kind: Kind = "value-checked") -> Callable[[F], F]:
    """Ties a hidden test to a part of the assignment and gives it points. Its docstring is what the student reads."""

    def mark(test: F) -> F:
        if not (test.__doc__ or "").strip():
            raise TypeError(f"{test.__name__} has no docstring; it is the sentence that the student reads")
        test.autograder = Mark(name, points, kind)  # type: ignore[attr-defined]
        return test

    return mark


class Bug(msgspec.Struct, frozen=True):
    """A planted bug: edits of the reference, the part that they break, the test that must notice, a hint."""

    name: str
    part: str
    killed_by: str
    edit: tuple[str, str] | list[tuple[str, str]]
    hint: str

    def plant(self, source: str) -> str:
        """The reference with the bug in it. Raises CourseError where an edit does not fit exactly once."""
        edits = self.edit if isinstance(self.edit, list) else [self.edit]
        for old, new in edits:
            if source.count(old) != 1:
                raise CourseError(
                    f"planted bug {self.name}: {old!r} occurs {source.count(old)} times in the reference, not once"
                )
            source = source.replace(old, new)
        return source


class Wrong(msgspec.Struct, frozen=True):
    """A named wrong formula of one function, for students' own checks: what it returns, and what to say then."""

    name: str
    function: str
    formula: Callable[..., Any]
    hint: str


_solutions: dict[str, Path] = {}


def use(assignment: Assignment) -> None:
    """Make `reference` find the solution of an assignment, whichever course it belongs to."""
    _solutions[assignment.name] = assignment.solution


@cache
def reference(name: str) -> ModuleType:
    """The reference solution of an assignment, imported here. Only suites ask for it; a student's kit has none."""
    return load(_solutions[name] if name in _solutions else open_course().assignment(name).solution)


def state_machine(factory: Callable[[], RuleBasedStateMachine], *, max_examples: int = 30, steps: int = 15) -> None:
    """Run a rule-based state machine as the body of a test. `factory` makes a new machine for each example."""
    trial = current_trial()
    settings = hypothesis.settings(max_examples=max_examples, stateful_step_count=steps)

    def watched() -> RuleBasedStateMachine:
        trial.begin()
        machine = factory()
        tear_down = machine.teardown

        def teardown() -> None:
            # Hypothesis calls this in a `finally`, so the exception that ends the example, if one does, is in flight.
            error = sys.exc_info()[1]
            tear_down()
            trial.end(error)

        machine.teardown = teardown  # type: ignore[method-assign]
        return machine

    # A seed on the test does not reach the machine: Hypothesis reads it off the factory.
    watched._hypothesis_internal_use_seed = trial.seed  # type: ignore[attr-defined]
    run_state_machine_as_test(watched, settings=settings)  # type: ignore[arg-type]


def load(path: Path) -> ModuleType:
    """A file beside a suite, or a public test, as a module. Those of other courses are no packages: loaded by path."""
    spec = importlib.util.spec_from_file_location(f"autograder_suite_{path.parent.name}_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise CourseError(f"{path} is not there; this command needs it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def sentence(test: Callable[..., Any]) -> str:
    """The first paragraph of a test's docstring, on one line."""
    text = inspect.cleandoc(test.__doc__ or "")
    return " ".join(text.split("\n\n")[0].split())
