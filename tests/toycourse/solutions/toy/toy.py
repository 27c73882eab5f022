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
    ### BEGIN SOLUTION
    if window < 1:
        raise ValueError("a window holds at least one entry")
    steps = range(x.shape[-1])
    means = [x[..., max(0, t + 1 - window) : t + 1].mean(-1) for t in steps]
    return torch.stack(means, dim=-1)
    ### END SOLUTION


def runs(text: str) -> list[tuple[str, int]]:
    """The runs of equal characters of `text`, in its order: runs("aab") -> [("a", 2), ("b", 1)]."""
    ### BEGIN SOLUTION
    found: list[tuple[str, int]] = []
    for character in text:
        count = found.pop()[1] if found and found[-1][0] == character else 0
        found.append((character, count + 1))
    return found
    ### END SOLUTION


class Tape:
    """Text that grows and shrinks at its end, kept as runs."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, int]] = []

    def write(self, text: str) -> None:
        """Put `text` at the end."""
        ### BEGIN SOLUTION
        for character, count in runs(text):
            if self.kept and self.kept[-1][0] == character:
                count += self.kept.pop()[1]
            self.kept.append((character, count))
        ### END SOLUTION

    def erase(self) -> str:
        """Take the last character away and return it. Raises IndexError where there is none."""
        ### BEGIN SOLUTION
        character, count = self.kept.pop()
        if count > 1:
            self.kept.append((character, count - 1))
        return character
        ### END SOLUTION

    def length(self) -> int:
        """How many characters there are."""
        ### BEGIN SOLUTION
        return sum(count for _, count in self.kept)
        ### END SOLUTION

    def read(self) -> list[tuple[str, int]]:
        """The runs of what is on the tape."""
        ### BEGIN SOLUTION
        return list(self.kept)
        ### END SOLUTION
