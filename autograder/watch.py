"""Notices, inside the worker, that a submission has a library do its work. Advice for a person, never a verdict.

It looks twice. What is called: each watched function is replaced, before the submission is loaded, by one that
remembers the call. What is spelled: the source is searched, here where a crash of the parser harms nobody, for the
names, also in strings, put together of pieces or not. A submission that wants to hide can: it owns this process.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any

MAX_SEEN = 20
MADE = "__init__"  # what a class is called by


class Watch:
    """The watched names of one worker, and what was seen of them."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = tuple(names)
        self._called: dict[str, None] = {}
        for name in self._names:
            self._replace(name)

    def seen(self, source: str) -> list[str]:
        """Sentences: "calls torch.f", "line 3 names f"."""
        return [*(f"calls {name}" for name in self._called), *spelled(source, self._names)][:MAX_SEEN]

    def _replace(self, name: str) -> None:
        path, _, last = name.rpartition(".")
        try:
            holder = resolve(path)
            own = getattr(holder, last)
        except (ImportError, AttributeError, RuntimeError):
            return
        if isinstance(own, type):
            try:
                setattr(own, MADE, self._noticing(name, getattr(own, MADE)))
                return
            except TypeError:
                pass  # a class of C: a function stands for it
        setattr(holder, last, self._noticing(name, own))

    def _noticing(self, name: str, own: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(own, updated=())
        def noticed(*args: Any, **kwargs: Any) -> Any:
            self._called[name] = None
            return own(*args, **kwargs)

        return noticed


def spelled(source: str, names: Iterable[str]) -> list[str]:
    """Where a source spells the last word of one of the names: "line 3 names f"."""
    wanted = {name.rpartition(".")[2] for name in names}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = dict.fromkeys((line, name) for line, text in _words(tree) for name in wanted if name in text)
    return [f"line {line} names {name}" for line, name in sorted(found)]


def said(text: str, names: Iterable[str]) -> bool:
    """Whether a text is a sentence that `Watch.seen` makes of these names: a worker can say anything."""
    if text.startswith("calls "):
        return text.removeprefix("calls ") in names
    found = re.fullmatch(r"line [0-9]{1,6} names (\w+)", text)
    return found is not None and found[1] in {name.rpartition(".")[2] for name in names}


def resolve(path: str) -> Any:
    """What a dotted name stands for. Raises ImportError or AttributeError where there is nothing."""
    first, *rest = path.split(".")
    found: Any = importlib.import_module(first)
    for depth, name in enumerate(rest, 1):
        if not hasattr(found, name):
            importlib.import_module(".".join([first, *rest[:depth]]))
        found = getattr(found, name)
    return found


def _words(tree: ast.AST) -> Iterable[tuple[int, str]]:
    """Every name that a source spells, with its line: attributes, imports, strings, strings that are added up.

    Not what it defines itself (an assignment may ask for an AdamW), and no text that is a statement: a docstring.
    """
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    own = {node.name for node in ast.walk(tree) if isinstance(node, definitions)}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Attribute):
            yield line, node.attr
        elif isinstance(node, ast.Name) and node.id not in own:
            yield line, node.id
        elif isinstance(node, ast.alias):
            yield line, node.name
        elif isinstance(node, ast.Constant | ast.BinOp) and id(node) not in docstrings and (text := _folded(node)):
            yield line, text


def _folded(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) and len(node.value) < 200 else ""  # no prose
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _folded(node.left) + _folded(node.right)
    return ""
