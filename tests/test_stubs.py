"""Stubs: what a student receives holds no solution, and what is committed is what the solutions generate."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.stubs import StubError, drifted, stub, stubs_of, write_stubs

COURSE = Path(__file__).parents[1]

SOLUTION = '''\
"""A module."""

import math


def area(radius: float) -> float:
    """The area of a circle; area(1.0) is pi."""
    ### BEGIN SOLUTION
    square = radius**2
    return math.pi * square
    ### END SOLUTION


class Counter:
    def __init__(self) -> None:
        self.n = 0

    def add(self, k: int) -> None:
        if k < 0:
            ### BEGIN SOLUTION
            raise ValueError("k is negative")
            ### END SOLUTION
        self.n += k
'''

STUB = '''\
"""A module."""

import math


def area(radius: float) -> float:
    """The area of a circle; area(1.0) is pi."""
    raise NotImplementedError


class Counter:
    def __init__(self) -> None:
        self.n = 0

    def add(self, k: int) -> None:
        if k < 0:
            raise NotImplementedError
        self.n += k
'''


def source(text: str) -> str:
    return textwrap.dedent(text).replace("BEGIN", "### BEGIN SOLUTION").replace("END", "### END SOLUTION")


def test_each_region_becomes_one_raise_at_its_indentation():
    assert stub(SOLUTION) == STUB


def test_the_committed_stubs_are_what_the_solutions_generate():
    assert stubs_of(COURSE), "no solutions found"
    assert drifted(COURSE) == [], "run `autograder release` and commit the stubs"


@given(st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from(["if", "with", "plain"])), min_size=1, max_size=5))
def test_a_stub_parses_and_holds_no_text_of_a_region(regions):
    text = ""
    for index, (number, shape) in enumerate(regions):
        body = f"secret_{number} = 1\n\n# why_{number}\nreturn secret_{number}"
        if shape == "plain":
            body = f"BEGIN\n{body}\nEND"
        else:
            head = {"if": "if x:", "with": "with x:"}[shape]
            body = f"{head}\n    BEGIN\n{textwrap.indent(body, '    ')}\n    END"
        text += f"def f{index}(x):\n{textwrap.indent(body, '    ')}\n\n\n"
    result = stub(source(text))
    ast.parse(result)
    assert result.count("raise NotImplementedError") == len(regions)
    assert not any(word in result for word in ("secret", "why", "SOLUTION"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f():\n    BEGIN\n    return 1\n", "line 2: ### BEGIN SOLUTION without an ### END"),
        ("def f():\n    return 1\n    END\n", "line 3: ### END SOLUTION without a ### BEGIN"),
        ("def f():\n    BEGIN\n    BEGIN\n    return 1\n    END\n", "line 3: ### BEGIN SOLUTION inside the region"),
        ("BEGIN\nx = 1\nEND\n", "line 1: .* inside the body of a function"),
        ("BEGIN\ndef f():\n    return 1\nEND\n", "line 1: .* inside the body of a function"),
        ("class A:\n    BEGIN\n    x = 1\n    END\n", "line 2: .* inside the body of a function"),
        ("def f():\n    class A:\n        BEGIN\n        x = 1\n        END\n", "line 3: .* inside the body"),
        ("def f():\n    BEGIN\n    # nothing\n    END\n    return 1\n", "line 2: no statement"),
        ('def f():\n    """\n    BEGIN\n    END\n    """\n', "line 3: no statement"),
        ('def f():\n    """\n    BEGIN\n    """\n    return 1\n    END\n', "line 3: .* whole statements"),
        ("def f():\n    return (\n        BEGIN\n        1\n        END\n    )\n", "line 3: no statement"),
        ("def f(x):\n    BEGIN\n    return (\n    END\n        1)\n", "line 2: .* whole statements"),
        (
            "def f(x):\n    if x:\n        BEGIN\n        return 1\n    else:\n        END\n        return 2\n",
            "line 3: .* whole",
        ),
        ("def f(x):\n    if x:\n        BEGIN\n        x = 1\n    return x\n    END\n", "line 3: .* whole statements"),
        ("def f(x):\n        BEGIN\n        return 1\n    END\n", "line 2: both markers must be indented"),
        ('def f(x):\n    BEGIN\n    """Text."""\n    return 1\n    END\n', "line 2: the docstring of f"),
        ("def f():\n    x = 1  BEGIN\n    return x\n    END\n", "line 2: a marker must be exactly"),
        ("def f():\n    # BEGIN SOLUTION\n    return 1\n", "line 2: a marker must be exactly"),
        ("def f():\n    BEGIN\n    return 1\n    END now\n", "line 4: a marker must be exactly"),
        ("def f():\n    return 1\n", "no ### BEGIN SOLUTION in this file"),
        ("def f(:\n    BEGIN\n    END\n", "line 1: "),
        ("def f():\r\n    BEGIN\r\n    return 1\r\n    END\r\n", "carriage returns"),
    ],
)
def test_a_broken_rule_is_an_error_that_names_the_line(text, message):
    with pytest.raises(StubError, match=message):
        stub(source(text))


def test_writing_stubs_writes_only_what_has_drifted(tmp_path):
    (tmp_path / "solutions/shapes").mkdir(parents=True)
    (tmp_path / "solutions/shapes/shapes.py").write_text(SOLUTION)
    target = tmp_path / "assignments/shapes/shapes.py"
    assert drifted(tmp_path) == [target]
    assert write_stubs(tmp_path) == [target]
    assert target.read_text() == STUB
    assert write_stubs(tmp_path) == []
    target.write_text(STUB + "\n")
    assert drifted(tmp_path) == [target]


def test_one_broken_solution_leaves_every_stub_as_it_was(tmp_path):
    for name, text in (("a", SOLUTION), ("b", "x = 1\n")):
        (tmp_path / "solutions" / name).mkdir(parents=True)
        (tmp_path / "solutions" / name / f"{name}.py").write_text(text)
    with pytest.raises(StubError, match=r"^solutions/b/b\.py: no ### BEGIN SOLUTION"):
        write_stubs(tmp_path)
    assert not (tmp_path / "assignments").exists()
