"""Whether two programs gave the same answer: exactly, floats up to the rounding of two programs of one formula."""

from __future__ import annotations

import math
from typing import Any

import numpy
import torch

from autograder.wire import Target

RELATIVE, ABSOLUTE = 1e-4, 1e-5  # different formulas differ by far more on inputs of ordinary size
COARSE = 2e-2  # relative, in half precision


def alike(a: Any, b: Any, handles: dict[int, int] | None = None) -> bool:
    """Whether two answers are the same, floats up to rounding. Learns which handle stands for which."""
    if isinstance(a, Target) and isinstance(b, Target):
        if handles is not None and b.handle >= 0:
            handles[b.handle] = a.handle
        return a.path == b.path and a.kind == b.kind
    if isinstance(a, numpy.ndarray) and isinstance(b, numpy.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        return bool(numpy.allclose(a, b, RELATIVE, ABSOLUTE, equal_nan=True) if a.dtype.kind == "f" else (a == b).all())
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if not a.is_floating_point():
            return torch.equal(a, b)
        relative = RELATIVE if torch.finfo(a.dtype).bits >= 32 else COARSE
        return torch.allclose(a.double(), b.double(), relative, ABSOLUTE, equal_nan=True)
    if type(a) is not type(b):
        return False
    if type(a) in (list, tuple):
        return len(a) == len(b) and all(alike(x, y, handles) for x, y in zip(a, b, strict=True))
    if type(a) is dict:
        return list(a) == list(b) and all(alike(a[key], b[key], handles) for key in a)
    if isinstance(a, float):
        return a == b or math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE) or (math.isnan(a) and math.isnan(b))
    return bool(a == b)
