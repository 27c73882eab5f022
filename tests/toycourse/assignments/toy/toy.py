"""Three small exercises: a function of tensors, a function of text, and an object with state."""

from __future__ import annotations

import torch
from jaxtyping import Float


def moving_average(x: Float[torch.Tensor, "... time"], window: int) -> Float[torch.Tensor, "... time"]:
    """The mean of the last `window` entries up to each entry, in the dtype of `x`.

    moving_average(tensor([2.0, 4.0, 6.0]), 2) -> tensor([2.0, 3.0, 5.0])

    At the beginning, where there are fewer than `window` entries, it is the mean of those that there are.
    Raises ValueError for a window below 1.
    """
    raise NotImplementedError


def runs(text: str) -> list[tuple[str, int]]:
    """The runs of equal characters of `text`, in its order: runs("aab") -> [("a", 2), ("b", 1)]."""
    raise NotImplementedError


class Tape:
    """Text that grows and shrinks at its end, kept as runs."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, int]] = []

    def write(self, text: str) -> None:
        """Put `text` at the end."""
        raise NotImplementedError

    def erase(self) -> str:
        """Take the last character away and return it. Raises IndexError where there is none."""
        raise NotImplementedError

    def length(self) -> int:
        """How many characters there are."""
        raise NotImplementedError

    def read(self) -> list[tuple[str, int]]:
        """The runs of what is on the tape."""
        raise NotImplementedError
