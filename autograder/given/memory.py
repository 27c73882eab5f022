"""How much memory tensors take: for experiments that compare two ways to compute one thing."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are made inside `with` and still there; `peak` is the most at one time.

    It is the same on every machine and device. What a fused kernel needs inside itself is not seen.

    >>> with PeakBytes() as memory:
    ...     x = torch.zeros(1000) + torch.zeros(1000)
    >>> memory.peak
    12000
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self, operation: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = operation(*args, **(kwargs or {}))
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage not in self._known and storage.data_ptr() not in given:  # a view of an argument is not new
                    self._known.add(storage)
                    self.held += storage.nbytes()
                    weakref.finalize(storage, self._forget, storage.nbytes())
        self.peak = max(self.peak, self.held)
        return made

    def _forget(self, n_bytes: int) -> None:
        self.held -= n_bytes
