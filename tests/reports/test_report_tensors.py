"""Returned beside expected: which entries are marked, and that only a tensor's own text is ever read."""

from __future__ import annotations

import payloads
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge.show import brief
from autograder.reports import tensors

ENTRIES = st.floats(width=32) | st.sampled_from([0.0, 1.0, -1.5, float("inf"), float("nan")])


@given(st.lists(st.lists(ENTRIES, min_size=3, max_size=3), min_size=1, max_size=4))
def test_every_small_matrix_that_a_record_shows_is_drawn(rows: list[list[float]]) -> None:
    text = brief(torch.tensor(rows))
    drawn = tensors.picture(text, text)
    assert drawn is not None
    assert drawn.wrong == 0
    assert drawn.close
    assert drawn.total == 3 * len(rows)
    assert [len(row) for row in drawn.returned[0].rows] == [3] * len(rows)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 2, 2), (1, 2, 1, 3)])
def test_every_shape_and_dtype_is_drawn(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    text = brief(torch.ones(shape).to(dtype))
    drawn = tensors.picture(text, text)
    assert drawn is not None
    assert drawn.total == torch.ones(shape).numel()


def test_the_differing_entry_is_marked_on_both_sides() -> None:
    drawn = tensors.picture("tensor([[1.0, 2.0], [3.0, 4.0]], float32)", "tensor([[1.0, 2.0], [3.5, 4.0]], float32)")
    assert drawn is not None
    assert drawn.wrong == 1
    for panels in (drawn.returned, drawn.expected):
        assert [[cell.wrong for cell in row] for row in panels[0].rows] == [[False, False], [True, False]]


def test_rounding_is_not_marked_beside_a_real_difference() -> None:
    drawn = tensors.picture("tensor([0.33333, 1.0], float32)", "tensor([0.33334, 2.0], float32)")
    assert drawn is not None
    assert drawn.wrong == 1


def test_a_difference_of_rounding_alone_is_marked() -> None:
    drawn = tensors.picture("tensor([0.33333, 2.0], float32)", "tensor([0.33334, 2.0], float32)")
    assert drawn is not None
    assert drawn.wrong == 1
    assert not drawn.close


def test_nan_where_a_number_is_expected_is_marked() -> None:
    drawn = tensors.picture("tensor([nan, nan], float32)", "tensor([0.5, nan], float32)")
    assert drawn is not None
    assert [cell.wrong for cell in drawn.returned[0].rows[0]] == [True, False]


def test_a_tuple_of_tensors_has_a_panel_for_each_matrix() -> None:
    text = "(tensor([[[1.0]], [[2.0]]], float32, shape (2, 1, 1)), tensor([3], int64))"
    drawn = tensors.picture(text, text)
    assert drawn is not None
    assert [panel.where for panel in drawn.returned] == ["item 0 [0]", "item 0 [1]", "item 1"]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("tensor([1.0], float32)", "tensor([[1.0]], float32)"),  # another shape
        ("tensor([[1.0], [1.0, 2.0]], float32)", "tensor([[1.0], [1.0, 2.0]], float32)"),  # ragged
        ("'tensor([1.0], float32)'", "'tensor([1.0], float32)'"),  # a string
        ("tensor([], float32, shape (0,))", "tensor([], float32, shape (0,))"),
        ("tensor of shape (90, 90), float32, from -1 to 1", "tensor([1.0], float32)"),
        ("None", "None"), ("", ""),
        *((payload, payload) for payload in payloads.ALL if payload != "tensor([[nan, inf]], float32)"),
    ],
)  # fmt: skip
def test_nothing_else_is_drawn(returned: str, expected: str) -> None:
    assert tensors.picture(returned, expected) is None


@settings(max_examples=60)
@given(st.text(max_size=80), st.text(max_size=80))
def test_marked_words_are_the_text_again(text: str, other: str) -> None:
    assert "".join(piece.text for piece in tensors.words(text, other)) == text


def test_words_that_differ_are_marked() -> None:
    pieces = tensors.words("['the', ' cat']", "['the', ' dog']")
    assert [piece.text for piece in pieces if piece.wrong] == ["' cat'"]
