"""Parameters with gradients that a test chooses, and whether a result moves later: what training is tested with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Parameters(nn.Module):
    """One parameter for each of the given tensors; `parameters()` iterates over them in their order.

    >>> p = Parameters([torch.ones(2)])
    >>> p.set_gradients([torch.zeros(2)])
    """

    def __init__(self, values: Sequence[Tensor]) -> None:
        super().__init__()
        self.items = nn.ParameterList(nn.Parameter(value.clone()) for value in values)

    def set_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        """Give each parameter its gradient, None for none."""
        for parameter, gradient in zip(self.items, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.clone()

    def gradients(self) -> list[Tensor | None]:
        """The gradients as they are now."""
        return [None if parameter.grad is None else parameter.grad.clone() for parameter in self.items]

    def values(self) -> list[Tensor]:
        """The parameters as they are now."""
        return [parameter.detach().clone() for parameter in self.items]


def set_option(optimizer: torch.optim.Optimizer, name: str, values: Sequence[float]) -> None:
    """Set an option of each parameter group, as a schedule sets "lr"."""
    for group, value in zip(optimizer.param_groups, values, strict=True):
        group[name] = value


def before_and_after(
    function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any], later: dict[str, Any]
) -> tuple[Any, Any]:
    """What `function(*args, **options)` returned, as it was then and as it is after `function(*args, **later)`."""
    result = function(*args, **options)
    before = copy.deepcopy(result)
    function(*args, **later)
    return before, result
