"""Returned beside expected: the entries that differ, found in the texts that a record holds.

A record shows small tensors in full, as `tensor([[0.0, 1.5]], float32)`. That text is read back here, strictly, so that
a tensor can be drawn as a picture; what is not exactly of that form stays text. Differing words of texts are marked.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import re

import msgspec

MAX_TEXT = 700  # longer texts, which no record of ours holds, are shown as they are
MAX_ENTRIES = 64  # of a tensor that is drawn

_TENSOR = re.compile(r"(?:tensor|array)\((\[[-+\w., \[\]]*\]|[-+\w.]+), (\w+)(?:, shape \([\d, ]*\))?\)")
_BETWEEN = re.compile(r"[\[\](), ]*")
_WORD = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?[\w.]+(?:e[-+]\d+)?|\s+|.", re.DOTALL)
# How far apart two entries of a dtype are before a reader should look at them, relative to the largest expected one.
_COARSE = {"float16": 4e-3, "bfloat16": 3e-2}
_FINE = 1e-4

Number = float | int | bool
Nested = Number | list["Nested"]


class Cell(msgspec.Struct, frozen=True):
    """One entry: its text, a class from 0 (most negative) to 10 (most positive) or "nan", and whether it is wrong."""

    text: str
    shade: str
    wrong: bool


class Panel(msgspec.Struct, frozen=True):
    """A matrix of a tensor. `where` says which, for tensors of more than two dimensions or several tensors."""

    where: str
    rows: list[list[Cell]]


class Picture(msgspec.Struct, frozen=True):
    """Two tensors of one shape, as panels in pairs.

    `close` says that no two entries differ in the digits shown, `signed` that there are numbers, not only truth values.
    """

    returned: list[Panel]
    expected: list[Panel]
    wrong: int
    total: int
    close: bool
    signed: bool


class Word(msgspec.Struct, frozen=True):
    """A piece of a text, and whether the other text has something else there."""

    text: str
    wrong: bool


class _Tensor(msgspec.Struct, frozen=True):
    shape: tuple[int, ...]
    entries: list[Number]
    dtype: str


@functools.lru_cache(maxsize=4096)
def picture(returned: str, expected: str) -> Picture | None:
    """The picture of two texts that are small tensors, or tuples of them, of the same shapes; else None."""
    got, want = _read(returned), _read(expected)
    if not got or not want or [t.shape for t in got] != [t.shape for t in want]:
        return None
    if any(len(t.shape) > 4 or 0 in t.shape for t in want) or sum(len(t.entries) for t in want) > MAX_ENTRIES:
        return None
    wrong = [_differing(a, b) for a, b in zip(got, want, strict=True)]
    count = sum(sum(flags) for flags in wrong)
    left, right = (
        [
            p
            for i, t in enumerate(side)
            for p in _panels(t, wrong[i], _scale(got[i], want[i]), i if len(got) > 1 else None)
        ]
        for side in (got, want)
    )
    return Picture(
        left,
        right,
        count,
        sum(len(t.entries) for t in want),
        close=not count,
        signed=any(t.dtype != "bool" for t in want),
    )


@functools.lru_cache(maxsize=4096)
def words(text: str, other: str) -> list[Word]:
    """`text` in pieces, with those marked that `other` does not have there."""
    if not other or text == other or len(text) > MAX_TEXT or len(other) > MAX_TEXT:
        return [Word(text, False)]
    own, its = _WORD.findall(text), _WORD.findall(other)
    pieces: list[Word] = []
    for tag, start, end, _, _ in difflib.SequenceMatcher(None, own, its, autojunk=False).get_opcodes():
        if start < end:
            pieces.append(Word("".join(own[start:end]), tag != "equal"))
    return pieces


def _read(text: str) -> list[_Tensor]:
    """Every tensor of a text that holds nothing but tensors; an empty list where it holds anything else."""
    if len(text) > MAX_TEXT or not _BETWEEN.fullmatch(_TENSOR.sub("", text)):
        return []
    tensors = [_tensor(found[1], found[2]) for found in _TENSOR.finditer(text)]
    return [t for t in tensors if t is not None] if all(t is not None for t in tensors) else []


def _tensor(entries: str, dtype: str) -> _Tensor | None:
    for python, javascript in (("inf", "Infinity"), ("nan", "NaN"), ("True", "true"), ("False", "false")):
        entries = entries.replace(python, javascript)
    try:
        nested: Nested = json.loads(entries)
    except (ValueError, RecursionError):
        return None
    shape: list[int] = []
    level: list[Nested] = [nested]
    while level and all(isinstance(item, list) for item in level):
        sizes = {len(item) for item in level if isinstance(item, list)}
        if len(sizes) != 1:
            return None
        shape.append(sizes.pop())
        level = [inner for item in level if isinstance(item, list) for inner in item]
    flat = [item for item in level if not isinstance(item, list)]
    return _Tensor(tuple(shape), flat, dtype) if len(flat) == len(level) else None


def _differing(got: _Tensor, want: _Tensor) -> list[bool]:
    """Which entries are visibly wrong: beyond rounding where any are, else wherever the digits differ."""
    largest = max((abs(float(x)) for x in want.entries if math.isfinite(x)), default=0.0)
    allowed = _COARSE.get(want.dtype, _FINE) * largest if "float" in want.dtype else 0.0
    pairs = [(float(a), float(b)) for a, b in zip(got.entries, want.entries, strict=True)]
    far = [not (a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= allowed) for a, b in pairs]
    return far if any(far) else [not (a == b or (math.isnan(a) and math.isnan(b))) for a, b in pairs]


def _scale(got: _Tensor, want: _Tensor) -> float:
    """The largest magnitude of what is expected, so that a value that explodes does not bleach everything else."""
    largest = max((abs(float(x)) for x in want.entries if math.isfinite(x)), default=0.0)
    return largest or max((abs(float(x)) for x in got.entries if math.isfinite(x)), default=0.0) or 1.0


def _panels(tensor: _Tensor, wrong: list[bool], scale: float, number: int | None) -> list[Panel]:
    shape = (1,) * (2 - len(tensor.shape)) + tensor.shape
    height, width = shape[-2:]
    cells = [Cell(_shown(x), _shade(float(x), scale), flag) for x, flag in zip(tensor.entries, wrong, strict=True)]
    panels = []
    for start in range(0, len(cells), height * width):
        rows = [cells[start + row * width : start + (row + 1) * width] for row in range(height)]
        index = _index(start // (height * width), shape[:-2])
        panels.append(Panel(" ".join([f"item {number}"] * (number is not None) + [index] * bool(index)), rows))
    return panels


def _index(position: int, sizes: tuple[int, ...]) -> str:
    parts = []
    for size in reversed(sizes):
        position, inner = divmod(position, size)
        parts.append(str(inner))
    return f"[{', '.join(reversed(parts))}]" if any(size > 1 for size in sizes) else ""


def _shown(x: Number) -> str:
    if isinstance(x, bool | int):
        return str(x)
    return f"{x:.4g}".replace("-", "−") if math.isfinite(x) else {"inf": "∞", "-inf": "−∞"}.get(str(x), "NaN")


def _shade(x: float, scale: float) -> str:
    return "nan" if math.isnan(x) else str(round(5 + 5 * max(-1.0, min(1.0, x / scale))))
