"""Language models whose logits are a table: their distribution over texts is known exactly, so it can be enumerated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class TableModel(nn.Module):
    """A model of order k: the logits of the next token are looked up by the last k tokens.

    `table`: (V, ..., V, V) with k + 1 dimensions; `table[a, b]` are the logits after `..., a, b` for k = 2, `table[b]`
    those for k = 1, and `table` itself is the answer everywhere for k = 0. Before the first token, tokens count as 0.
    It has no weights and no cache. `config.context_length` is the longest input that it takes.

    >>> TableModel(torch.eye(3))(torch.tensor([[2, 0]]))[0, -1].tolist()
    [1.0, 0.0, 0.0]
    """

    table: Tensor

    def __init__(self, table: Tensor, context_length: int = 1 << 20) -> None:
        super().__init__()
        self.register_buffer("table", table)
        self.config = SimpleNamespace(vocab_size=table.shape[-1], context_length=context_length)
        self.calls = 0  # how often `forward` ran

    def forward(self, input_ids: Tensor, cache: Any = None, **_: Any) -> Tensor:
        """input_ids (B, T) -> logits (B, T, V). ValueError for an input past the context or with a cache."""
        if cache is not None:
            raise ValueError("a TableModel has nothing to cache: use_cache=False")
        if input_ids.shape[1] > self.config.context_length:
            raise ValueError(f"{input_ids.shape[1]} tokens do not fit in a context of {self.config.context_length}")
        self.calls += 1
        table, length = self.table, input_ids.shape[1]
        order = table.dim() - 1
        if order == 0:
            return table.expand(*input_ids.shape, -1).clone()
        padded = torch.nn.functional.pad(input_ids, (order - 1, 0))  # (B, order - 1 + T)
        return table[tuple(padded[:, i : i + length] for i in range(order))]  # (B, T, V)
