"""Small networks that reward models and policies are made of: so small that what they do can be computed exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RunningSum(nn.Module):
    """A body whose hidden state is the sum of the embeddings of the real tokens so far, the present one included.

    What it returns where `attention_mask` is False is large and means nothing, as with any model. Without a mask every
    token is real. A linear head on the last real token's state gives each token a weight, whatever the padding.

    >>> body = RunningSum(5, 3)
    >>> body(torch.tensor([[2, 4]])).shape
    torch.Size([1, 2, 3])
    """

    def __init__(self, vocab_size: int, d_model: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embed = nn.Embedding(vocab_size, d_model)
        nn.init.normal_(self.embed.weight, std=d_model**-0.5, generator=generator)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """input_ids (B, T), attention_mask (B, T) bool -> hidden states (B, T, d_model)."""
        embedded: Tensor = self.embed(input_ids)
        if attention_mask is None:
            return embedded.cumsum(dim=1)
        padding = ~attention_mask[..., None]
        return embedded.masked_fill(padding, 0.0).cumsum(dim=1).masked_fill(padding, 100.0)


class PolicyTable(nn.Module):
    """A language model that learns: the logits of the next token are `table[last token]`, a (V, V) parameter.

    >>> PolicyTable(torch.eye(3))(torch.tensor([[2, 0]]))[0, -1].tolist()
    [1.0, 0.0, 0.0]
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table.clone())

    def forward(self, input_ids: Tensor) -> Tensor:
        """input_ids (B, T) -> logits (B, T, V)."""
        return self.table[input_ids]


def walk(table: Tensor, first: Tensor, length: int, eos_id: int) -> list[Tensor]:
    """How often each token is emitted at each of `length` steps: `length` tensors (B, V) of probabilities, exactly.

    `table` (V, V): the logits of a `PolicyTable`; `first` (B,): the last tokens of B prompts. A response ends with
    `eos_id`, and what ended emits nothing more.
    """
    chances = table.softmax(dim=-1)
    here = nn.functional.one_hot(first, len(table)).to(chances.dtype)  # (B, V): where the walk stands
    emitted = []
    for _ in range(length):
        here = here @ chances
        emitted.append(here)
        here = here.clone()
        here[:, eos_id] = 0.0
    return emitted


def divergence(table: Tensor, reference: Tensor, first: Tensor, length: int, eos_id: int) -> Tensor:
    """KL(policy || reference) in nats, exactly, of the responses to each of B prompts: (B,). Arguments as in `walk`.

    By the chain rule it is the sum over steps of the divergence between the rows of the tables, where the walk stands.
    """
    log_p, log_q = table.log_softmax(dim=-1), reference.log_softmax(dim=-1)
    by_row = (log_p.exp() * (log_p - log_q)).sum(dim=-1)  # (V,)
    standing = [nn.functional.one_hot(first, len(table)).to(by_row.dtype), *walk(table, first, length, eos_id)[:-1]]
    total = torch.zeros(len(first), dtype=by_row.dtype, device=by_row.device)
    for number, here in enumerate(standing):
        if number:
            here = here.clone()
            here[:, eos_id] = 0.0
        total = total + here @ by_row
    return total


class Steps:
    """Called after each step of a training: keeps the numbers of the steps, and the policy's `table` after each."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.tables: list[Tensor] = []

    def __call__(self, step: int, policy: nn.Module) -> None:
        self.numbers.append(step)
        self.tables.append(policy.get_parameter("table").detach().clone())
