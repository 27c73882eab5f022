"""The student's file: which function failed, found by its text, and what is folded away."""

from __future__ import annotations

import re

import fake_records as fake
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.outcome import TraceEntry
from autograder.reports import source


def marked(mark: str, *failures: object, text: str = fake.SOURCE) -> list[int]:
    pieces = source.stretches(text, list(failures))  # type: ignore[arg-type]
    return [line.number for piece in pieces for line in piece.lines if line.mark == mark]


def test_the_function_that_was_called_last_is_marked() -> None:
    assert marked("failing", fake.failed("causal_mask", calls=["causal_mask(2, 4)"])) == [14, 15, 16, 17, 18, 19]


def test_a_blank_line_inside_a_function_belongs_to_it() -> None:
    assert marked("failing", fake.failed("heads", calls=["scaled_dot_product_attention(1)"])) == list(range(22, 29))


def test_the_function_that_raised_is_marked_with_its_line() -> None:
    test = fake.failed(
        "heads",
        calls=["split_heads(1)"],
        trace=[TraceEntry(28, "scaled_dot_product_attention", ""), TraceEntry(11, "softmax", "")],
    )
    assert marked("raised", test) == [11, 28]
    assert marked("failing", test) == [8, 9, 10]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("softmax(tensor([1.0], float32))", "softmax"),
        ("<object>.forward(1)", "forward"),
        ("<object>(1)", ""),
        ("gradient of softmax(1) with respect to 0", "softmax"),
        ("bpe.Tokenizer({}, [])", "Tokenizer"),
        ("", ""),
        ("((((", ""),
        ("x.y.z", "z"),
    ],
)
def test_the_name_that_a_call_names(call: str, name: str) -> None:
    assert source.called(call) == name


def test_a_call_of_an_object_marks_the_class_that_made_it() -> None:
    text = "import torch\n\nclass Net:\n    def forward(self, x):\n        return x\n\nother = 1\n"
    assert marked("failing", fake.failed("heads", calls=["Net(1)", "<object>(2)"]), text=text) == [3, 4, 5]


def test_a_long_run_of_other_lines_is_folded() -> None:
    text = "\n".join(["x = 1"] * 40 + ["def f(x):", "    return x"] + ["y = 2"] * 40)
    pieces = source.stretches(text, [fake.failed("heads", calls=["f(1)"])])
    assert [piece.folded for piece in pieces] == [True, False, True]


@given(st.text(max_size=300), st.integers(-5, 500), st.text(max_size=10))
def test_any_text_and_any_trace_is_shown_whole_and_once(text: str, line: int, name: str) -> None:
    pieces = source.stretches(
        text,
        [fake.failed("heads", calls=[name], trace=[TraceEntry(line, name, "")]), fake.failed("heads", calls=[name])],
    )
    assert "\n".join(one.text for piece in pieces for one in piece.lines) == re.sub("\r\n?", "\n", text).removesuffix(
        "\n"
    )


def test_lines_are_counted_as_python_counts_them() -> None:
    text = "# a\x0cb\x1cc\u2028d\ndef f(x):\r    return x\r\n"
    assert marked("failing", fake.failed("heads", calls=["f(1)"]), text=text) == [2, 3]
