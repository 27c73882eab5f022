"""What tests/bench/gpu.py runs: for each assignment whose code works on tensors, a table of calls of its functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Generator, Tensor


class Case(NamedTuple):
    """One call. `inputs` draws tensors on the CPU in float64: small ones to compare, large ones (True) to time.

    `call` gets the solution's module and the inputs, on the device that is tried, floating ones in the dtype that is
    tried, and returns one tensor. A module that it makes takes both from them: `.to(x.device, x.dtype)`.
    """

    name: str
    inputs: Callable[[Generator, bool], tuple[Tensor, ...]]
    call: Callable[..., Tensor]
    float32: float = 1e-5  # the largest error allowed, relative to the largest entry that is expected
    bfloat16: float = 2e-2  # it has eight bits: rounding alone is 2e-3
