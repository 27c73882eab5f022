"""Hidden tests as text: which tests a suite has, the part and points of each, and where each stands in its file.

Read without importing anything, so that an orchestrator can name and hash what it never runs.
"""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec

from autograder.course import CourseError


class HiddenTest(msgspec.Struct, frozen=True):
    """One hidden test: lines `first` to `last`, counted from 1, decorators included."""

    name: str
    part: str
    points: int
    first: int
    last: int


def hidden_tests(path: Path) -> list[HiddenTest]:
    """The tests of one file of a suite, in its order. The part in `@part` is a string or a constant of the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                constants |= _constants(target, node.value)
    tests = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "part":
                first = min(node.lineno, *(d.lineno for d in node.decorator_list))
                name, points = _arguments(decorator, constants)
                if not isinstance(name, str) or not isinstance(points, int):
                    raise CourseError(f"{path}: @part of {node.name} must say its part and its points as constants")
                tests.append(HiddenTest(node.name, name, points, first, node.end_lineno or node.lineno))
    return tests


def _constants(target: ast.expr, value: ast.expr) -> dict[str, object]:
    """What an assignment binds to constants: `NAME = "gae"`, or `GAE, GROUPS = "gae", "group_advantages"`."""
    if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
        return {target.id: value.value}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = [_constants(one, its) for one, its in zip(target.elts, value.elts, strict=True)]
        return {name: constant for pair in pairs for name, constant in pair.items()}
    return {}


def _arguments(decorator: ast.Call, constants: dict[str, object]) -> tuple[object, object]:
    given: dict[str, object] = {"points": 0}
    for position, value in enumerate(decorator.args):
        given[("name", "points", "kind")[position]] = _constant(value, constants)
    for keyword in decorator.keywords:
        given[keyword.arg or ""] = _constant(keyword.value, constants)
    return given.get("name"), given["points"]


def _constant(node: ast.expr, constants: dict[str, object]) -> object:
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    return node.value if isinstance(node, ast.Constant) else None
