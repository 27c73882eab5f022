"""What a suite sees of a submission: names, functions and objects that look local and live in another process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from autograder import wire
from autograder.judge.session import Exchange, Session, StudentError
from autograder.wire import Given, Target, TargetNode

# Python and printers ask for names with an underscore; Hypothesis takes a test's first argument for its `self` and asks
# it for hooks. None of these is a question to the submission.
ASKED_BY_TOOLS = ("_", "hypothesis_internal", "execute_example", "setup_example", "teardown_example")


class Proxy:
    """An object or a function of the student's. Calling it and reading its attributes asks the worker."""

    def __init__(self, submission: Submission, target: Target) -> None:
        self._submission = submission
        self._target = target

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._submission._call(self._target, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(ASKED_BY_TOOLS):
            raise AttributeError(name)
        return self._submission._get(self._target, name)

    def __repr__(self) -> str:
        return f"<{self._target.kind or 'object'} {self._target.path}".rstrip() + ">"


class Submission:
    """A student's module. `submission.f(...)` calls its function `f`; the other methods say what they do."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._callables: dict[tuple[int, str], Proxy] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith(ASKED_BY_TOOLS):
            raise AttributeError(name)
        return self._get(Target(-1), name)

    def __repr__(self) -> str:
        return f"<submission {self._session.name}>"

    def vjp(
        self,
        function: Proxy,
        *args: Any,
        cotangent: torch.Tensor | Sequence[torch.Tensor | None],
        wrt: Sequence[int | str],
        **kwargs: Any,
    ) -> tuple[Any, list[torch.Tensor | None]]:
        """Call `function`, pull `cotangent` back: (result, gradients).

        `wrt` names positional arguments (int), keyword arguments, or parameters of a module (str). A gradient is None
        where the result does not depend on the input.
        """
        encoder = wire.Encoder()
        cotangents = [cotangent] if isinstance(cotangent, torch.Tensor) else list(cotangent)
        operation = wire.Vjp(
            _node(function._target),
            [encoder.node(_plain(value)) for value in args],
            {name: encoder.node(_plain(value)) for name, value in kwargs.items()},
            [encoder.node(value) for value in cotangents],
            list(wrt),
        )
        extra = {"cotangents": cotangents, "wrt": list(wrt)}
        said = partial(Exchange, "vjp", function._target, _plain(args), _plain(kwargs), extra)
        result, gradients = self._session.ask(operation, encoder, said)
        return self._wrap(result), list(gradients)

    def echo(self, function: Proxy, *args: Any, **kwargs: Any) -> tuple[Any, list[Any], dict[str, Any]]:
        """Call `function`; (result, args, kwargs) as the submission reports them afterwards. Self-reported evidence."""
        result, after, named = self._call(function._target, args, kwargs, echo=True)
        return result, after, named

    def take(self, iterator: Proxy, count: int) -> list[Any]:
        """The next `count` items of an iterator in the worker, fewer at its end."""
        said = partial(Exchange, "take", iterator._target, (count,))
        items: list[Any] = self._wrap(
            self._session.ask(wire.Take(_node(iterator._target), count), wire.Encoder(), said)
        )
        return items

    def keep(self, value: Any) -> Proxy:
        """Put a value (a seed, say) into the worker and return a handle, so that several calls can share its state."""
        encoder = wire.Encoder()
        said = partial(Exchange, "keep", value)
        handle: Proxy = self._wrap(self._session.ask(wire.Keep(encoder.node(value)), encoder, said))
        return handle

    def make(self, given: Given, *args: Any, **kwargs: Any) -> Any:
        """Call an object of `autograder.given` in the worker; what is no value comes back as a handle."""
        return self._call(given, args, kwargs)

    def proxy(self, target: Target) -> Proxy:
        """A proxy for something in the worker that is known by its target, as in a conversation that is asked again."""
        return Proxy(self, target)

    def read(self, target: Target) -> Any:
        """The value of an attribute, by its target."""
        said = partial(Exchange, "get", target)
        return self._wrap(self._session.ask(wire.Get(_node(target)), wire.Encoder(), said))

    # --- how it is done

    def _get(self, target: Target, name: str) -> Any:
        path = f"{target.path}.{name}" if target.path else name
        known = self._callables.get((target.handle, path))
        if known is not None and target.handle < 0:
            return known
        full = Target(target.handle, path)
        said = None if target.handle < 0 else partial(Exchange, "get", full)
        value = self._wrap(self._session.ask(wire.Get(_node(full)), wire.Encoder(), said))
        if isinstance(value, Proxy) and target.handle < 0:
            self._callables[target.handle, path] = value
        return value

    def _call(self, target: Target | Given, args: Any, kwargs: Any, echo: bool = False) -> Any:
        encoder = wire.Encoder()
        operation = wire.Call(
            wire.GivenNode(target.name) if isinstance(target, Given) else _node(target),
            [encoder.node(_plain(value)) for value in args],
            {name: encoder.node(_plain(value)) for name, value in kwargs.items()},
            echo,
        )
        said = partial(Exchange, "call", target, _plain(args), _plain(kwargs), {"echo": echo} if echo else {})
        return self._wrap(self._session.ask(operation, encoder, said))

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, Target):
            return Proxy(self, value)
        if type(value) in (list, tuple):
            return type(value)(self._wrap(item) for item in value)
        if type(value) is dict:
            return {key: self._wrap(item) for key, item in value.items()}
        return value


@contextmanager
def raises(*names: str) -> Iterator[None]:
    """The code under test must raise one of these exceptions, or a subclass of one."""
    from autograder.judge.checks import Mismatch

    wanted = " or ".join(names)
    try:
        yield
    except StudentError as error:
        if error.lineage[0] == "NotImplementedError" and error.lineage[0] not in names:
            raise  # a RuntimeError to Python, and what an untouched stub raises
        if not set(names) & set(error.lineage):
            raise Mismatch(f"should raise {wanted}, raised {error.lineage[0]}") from error
    else:
        raise Mismatch(f"should raise {wanted}, and raised nothing")


def _node(target: Target) -> TargetNode:
    return TargetNode(target.handle, target.path)


def _plain(value: Any) -> Any:
    """The value with proxies replaced by what the wire calls them."""
    if isinstance(value, Proxy):
        return value._target
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value
