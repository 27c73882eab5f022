"""Hypothesis strategies that suites share: shapes, tensors, dtypes, seeds. All shrink towards few and small numbers."""

from __future__ import annotations

from typing import Any, Literal

import torch
from hypothesis import strategies as st

MAX_DRAWN_ENTRIES = 16  # above this a tensor is drawn as a seed: shrinking entry by entry would cost more than it shows


def shapes(
    min_dims: int = 1, max_dims: int = 4, min_side: int = 1, max_side: int = 5
) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of tensors."""
    return st.lists(st.integers(min_side, max_side), min_size=min_dims, max_size=max_dims).map(tuple)


def lengths(low: int = 1, high: int = 12) -> st.SearchStrategy[int]:
    """Lengths of sequences; length 1 is drawn often."""
    return st.one_of(st.just(low), st.integers(low, high))


def seeds() -> st.SearchStrategy[int]:
    """Seeds of generators."""
    return st.integers(0, 2**20)


def float_dtypes(*, half: bool = False) -> st.SearchStrategy[torch.dtype]:
    """float64 and float32; with `half` bfloat16 too."""
    return st.sampled_from([torch.float64, torch.float32] + ([torch.bfloat16] if half else []))


@st.composite
def tensors(
    draw: st.DrawFn,
    shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]],
    dtype: torch.dtype | st.SearchStrategy[torch.dtype] | None = None,
    elements: Literal["normal", "small_ints", "extreme"] = "normal",
    contiguous: bool = False,
) -> torch.Tensor:
    """A float tensor; sometimes not contiguous.

    `normal`: small integers or standard normal entries. `small_ints`: small integers only. `extreme`: also entries
    of the order of 1e4, of both signs.
    """
    size = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    kind = draw(float_dtypes() if dtype is None else dtype) if not isinstance(dtype, torch.dtype) else dtype
    count = torch.Size(size).numel()
    ways = ["integers"] + ([] if elements == "small_ints" else ["normal"]) + (["huge"] if elements == "extreme" else [])
    way = draw(st.sampled_from(ways))
    if way == "integers" and count <= MAX_DRAWN_ENTRIES:
        entries = draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count))
        x = torch.tensor(entries, dtype=torch.float64).reshape(size)
    else:
        source = torch.Generator().manual_seed(draw(seeds()))
        if way == "integers":
            x = torch.randint(-4, 5, size, generator=source).double()
        else:
            x = torch.randn(size, generator=source, dtype=torch.float64)
    if way == "huge":
        x = x * 1e4
    x = x.to(kind)
    if not contiguous and count > 1 and len(size) and draw(st.booleans()):
        return noncontiguous(x)
    return x


def noncontiguous(x: torch.Tensor) -> torch.Tensor:
    """The same values with other strides."""
    return torch.stack([x, torch.zeros_like(x)], dim=-1)[..., 0]


@st.composite
def token_ids(
    draw: st.DrawFn, shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]], vocab_size: int
) -> torch.Tensor:
    """An int64 tensor of token ids in range(vocab_size)."""
    size = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    count = torch.Size(size).numel()
    if count <= 4 * MAX_DRAWN_ENTRIES:
        entries: Any = draw(st.lists(st.integers(0, vocab_size - 1), min_size=count, max_size=count))
        return torch.tensor(entries, dtype=torch.int64).reshape(size)
    return torch.randint(vocab_size, size, generator=torch.Generator().manual_seed(draw(seeds())))
