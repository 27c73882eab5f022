"""What runs inside the sandbox: loads the student's module and answers questions about it, one at a time.

By the time that `serve` reads its first byte the process is locked down, and from the first `Load` on it belongs to the
student. So nothing here is trusted by anybody: the judge checks every reply, and this file only has to be helpful to
honest code. It holds no secret and decides nothing.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import os
import random
import re
import sys
import types
from collections.abc import Callable
from typing import Any

import torch

from autograder import wire
from autograder.watch import Watch
from autograder.wire import MAX_TEXT, TargetNode, WireError

MAX_TRACE = 12


class _Unnamed(Exception):
    """An attribute that is not there, as opposed to an AttributeError inside the student's own code."""


class Answerer:
    """Answers questions about one student's module."""

    def __init__(self) -> None:
        default = torch.get_default_device()
        self._device = None if default.type == "cpu" else default
        self._module: types.ModuleType | None = None
        self._source: list[str] = []
        self._watch = Watch()
        self._handles: dict[int, Any] = {}
        self._numbers = itertools.count()

    def answer(self, question: wire.Question, body: bytearray) -> tuple[wire.Reply, list[memoryview | bytes]]:
        if question.forget >= 0:
            for number in [number for number in self._handles if number >= question.forget]:
                del self._handles[number]
            self._numbers = itertools.count(question.forget)
        encoder = wire.Encoder(self._opaque)
        outcome: wire.Answer | wire.Raised | wire.Unsendable | wire.Missing
        try:
            decoder = wire.Decoder(question.sizes, body, self._resolve, self._device)
            result = self._perform(question.operation, decoder)
            outcome = wire.Answer(result if isinstance(result, TargetNode) else encoder.node(result))
        except _Unnamed as error:
            outcome = wire.Missing(str(error))
        except WireError as error:
            outcome = wire.Unsendable(str(error))
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: only the judge ends this process
            outcome = self._raised(error)
        buffers = encoder.buffers if isinstance(outcome, wire.Answer) else []
        return wire.Reply(question.nonce, outcome, wire.sizes(buffers)), buffers

    # --- what each operation does

    def _perform(self, operation: wire.Operation, decoder: wire.Decoder) -> Any:
        if isinstance(operation, wire.Load):
            self._watch = Watch(operation.watched)
            return self._load(operation.name, operation.source)
        if isinstance(operation, wire.Seen):
            return self._watch.seen("\n".join(self._source))
        if isinstance(operation, wire.Keep):
            return self._opaque(decoder.value(operation.value))
        if isinstance(operation, wire.Get):
            found = self._find(operation.target)
            if callable(found) or isinstance(found, types.ModuleType):
                return TargetNode(operation.target.handle, operation.target.path, type(found).__name__)
            return found
        if isinstance(operation, wire.Take):
            iterator = self._find(operation.target)
            return list(itertools.islice(iterator, operation.count))
        function = self._resolve(operation.target)
        args = [decoder.value(node) for node in operation.args]
        kwargs = {name: decoder.value(node) for name, node in operation.kwargs.items()}
        if isinstance(operation, wire.Vjp):
            cotangents = [decoder.value(node) for node in operation.cotangents]
            return self._vjp(function, args, kwargs, cotangents, operation.wrt)
        result = function(*args, **kwargs)
        return (result, args, kwargs) if operation.echo else result

    def _load(self, name: str, source: bytes) -> None:
        text = source.decode("utf-8-sig")
        self._source = re.split(r"\r\n|\r|\n", text)  # as Python counts; splitlines() also ends one at a form feed
        module = types.ModuleType(name)
        module.__file__ = f"{name}.py"
        sys.modules[name] = self._module = module
        exec(compile(text, module.__file__, "exec", dont_inherit=True), module.__dict__)

    def _vjp(
        self, function: Any, args: list[Any], kwargs: dict[str, Any], cotangents: list[Any], wrt: list[int | str]
    ) -> tuple[Any, list[torch.Tensor | None]]:
        inputs = []
        for name in wrt:
            if isinstance(name, str) and name not in kwargs:
                inputs.append(function.get_parameter(name).requires_grad_())
                continue
            place: Any = args if isinstance(name, int) else kwargs
            place[name] = place[name].detach().clone().requires_grad_()
            inputs.append(place[name])
        result = function(*args, **kwargs)
        outputs = list(result) if isinstance(result, tuple | list) else [result]
        if len(outputs) != len(cotangents):
            raise WireError(f"{len(outputs)} values came back where {len(cotangents)} are expected")
        chosen = [(out, ct) for out, ct in zip(outputs, cotangents, strict=True) if ct is not None]
        for out, ct in chosen:
            if not isinstance(out, torch.Tensor) or out.shape != ct.shape:
                raise WireError(f"the result should be a tensor of shape {tuple(ct.shape)}, not {_form(out)}")
            if not out.requires_grad:
                raise WireError("the result carries no gradient: it does not depend on its inputs through torch")
        gradients = torch.autograd.grad(
            [out for out, _ in chosen], inputs, [ct.to(out.dtype) for out, ct in chosen], allow_unused=True
        )
        return result, list(gradients)

    # --- names, handles, and what is not a value

    def _find(self, target: TargetNode) -> Any:
        found: Any = self._module
        if target.handle >= 0:
            if target.handle not in self._handles:
                raise LookupError("an object of an earlier example was used again")
            found = self._handles[target.handle]
        for name in filter(None, target.path.split(".")):
            if isinstance(found, torch.nn.ModuleList | torch.nn.Sequential | list | tuple) and name.isdigit():
                found = found[int(name)]
                continue
            try:
                found = getattr(found, name)
            except AttributeError:
                if inspect.getattr_static(found, name, None) is not None:
                    raise
                raise _Unnamed(target.path) from None
        return found

    def _resolve(self, node: Any) -> Any:
        if isinstance(node, TargetNode):
            return self._find(node)
        if isinstance(node, wire.SeedNode):
            if node.library == "torch":
                return torch.Generator(self._device or "cpu").manual_seed(node.seed)
            return random.Random(node.seed)
        if isinstance(node, wire.GivenNode):
            module, _, path = node.name.partition(".")
            found: Any = importlib.import_module(f"autograder.given.{module}")
            for name in path.split("."):
                found = getattr(found, name)
            return found
        raise WireError(f"a {type(node).__name__} cannot be used here")

    def _opaque(self, value: object) -> TargetNode:
        number = next(self._numbers)
        self._handles[number] = value
        return TargetNode(number, "", type(value).__name__[:MAX_TEXT])

    # --- exceptions

    def _raised(self, error: BaseException) -> wire.Raised:
        lineage = [kind.__name__[:MAX_TEXT] for kind in type(error).__mro__ if kind not in (BaseException, object)]
        try:
            message = str(error)[:MAX_TEXT]
        except Exception as second:
            message = f"(its message cannot be shown: __str__ raised {type(second).__name__})"
        message = message.encode("utf-8", "backslashreplace").decode()
        return wire.Raised(lineage[:MAX_TRACE] or ["BaseException"], message, self._trace(error))

    def _trace(self, error: BaseException) -> list[wire.TraceLine]:
        own = self._module.__file__ if self._module is not None else None
        if isinstance(error, SyntaxError) and error.filename == own:
            return [self._line(error.lineno or 0, "<module>")]
        lines = []
        step = error.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            if code.co_filename == own:
                lines.append(self._line(step.tb_lineno, code.co_name))
            step = step.tb_next
        return lines if len(lines) <= MAX_TRACE else lines[:2] + lines[2 - MAX_TRACE :]

    def _line(self, number: int, function: str) -> wire.TraceLine:
        text = self._source[number - 1].strip() if 0 < number <= len(self._source) else ""
        return wire.TraceLine(number, function[:200], text[:200])


def _form(value: object) -> str:
    return f"one of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


def serve(channel: int) -> None:
    """Answer questions that arrive on the socket `channel`, until it closes."""

    def read(size: int) -> bytearray:
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            count = os.readv(channel, [view[got:]])
            if not count:
                raise EOFError
            got += count
        return data

    def write(piece: bytes | memoryview) -> None:
        view = memoryview(piece)
        while len(view):
            view = view[os.write(channel, view) :]

    serve_over(read, write)


def serve_over(read: Callable[[int], bytearray], write: Callable[[bytes | memoryview], None]) -> None:
    """The same over any pair of functions: `read` returns exactly as many bytes as asked, or raises EOFError."""
    answerer = Answerer()
    while True:
        try:
            prefix = read(wire.PREFIX.size)
        except EOFError:
            return
        header, body = wire.lengths(bytes(prefix))
        question = wire.question(bytes(read(header)))
        reply, buffers = answerer.answer(question, read(body))
        try:
            pieces = wire.frame(reply, buffers)
        except (WireError, ValueError) as error:
            pieces = wire.frame(wire.Reply(question.nonce, wire.Unsendable(str(error)[:MAX_TEXT]), []), [])
        for piece in pieces:
            write(piece)
