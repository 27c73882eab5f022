"""Statistics of a batch of samples, (b, n, ...) -> (b, ...): what bootstrap intervals are tested with."""

from __future__ import annotations

from torch import Tensor


def means(samples: Tensor) -> Tensor:
    """The mean of each sample: (b, n, ...) -> (b, ...).

    >>> import torch; means(torch.tensor([[1.0, 2.0], [3.0, 5.0]])).tolist()
    [1.5, 4.0]
    """
    return samples.mean(1)


def largest(samples: Tensor) -> Tensor:
    """The largest value of each sample: (b, n, ...) -> (b, ...)."""
    return samples.amax(1)


def largest_gaps(samples: Tensor) -> Tensor:
    """The largest |y - x| of each sample of pairs (x, y): (b, n, 2) -> (b,). Zero where every pair was kept whole."""
    return (samples[..., 1] - samples[..., 0]).abs().amax(1)
