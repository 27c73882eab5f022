"""What filling in blanks is tested with: a tokenizer of words, a model that is a table, a witness of training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Words:
    """A tokenizer whose tokens are words between spaces; a word's id is its place in `words`.

    >>> Words(["[MASK]", "hot", "tea"]).encode("hot [MASK] tea")
    [1, 0, 2]
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.vocab_size = len(self.words)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; nothing is added. KeyError for a word that is not there."""
        return [self.id(word) for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        """The words of ids, with a space between two."""
        return " ".join(self.words[i] for i in ids)

    def id(self, piece: str) -> int:
        """The id of a word or special. KeyError where there is none."""
        if piece not in self.words:
            raise KeyError(piece)
        return self.words.index(piece)


class Neighbours(nn.Module):
    """A masked language model: the logits of each token are `table[left neighbour, right neighbour]`.

    `table`: (V, V, V). Beyond both ends of a row the neighbour is token 0. In training mode the logits are those of
    another table, as they would be with dropout. `seen` holds the ids of the last call, `gradients` whether it ran with
    gradients enabled.

    >>> logits, nsp_logits = Neighbours(torch.zeros(5, 5, 5)).eval()(torch.tensor([[1, 3, 2]]))
    >>> logits.shape, nsp_logits.shape
    (torch.Size([1, 3, 5]), torch.Size([1, 2]))
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)
        self.seen: list[list[int]] = []
        self.gradients = False

    def forward(
        self, input_ids: Tensor, segment_ids: Tensor | None = None, attention_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """input_ids (B, T) -> logits (B, T, V) of the tokens, (B, 2) of the pair."""
        self.seen, self.gradients = input_ids.tolist(), torch.is_grad_enabled()
        padded = nn.functional.pad(input_ids, (1, 1))
        table = -self.table.roll(1, dims=0) if self.training else self.table
        return table[padded[:, :-2], padded[:, 2:]], table.new_zeros(len(input_ids), 2)


class Steps:
    """Called after each step of a training: keeps the numbers of the steps, and the model's `mlm_bias` after each."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.biases: list[Tensor] = []

    def __call__(self, step: int, model: nn.Module) -> None:
        self.numbers.append(step)
        self.biases.append(model.get_parameter("mlm_bias").detach().clone())
