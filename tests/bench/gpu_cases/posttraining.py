"""Every function of the posttraining assignment that works on tensors which a caller may keep on a device."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from gpu_cases import Case


def normal(
    small: tuple[int, ...], large: tuple[int, ...], n: int = 1
) -> Callable[[Generator, bool], tuple[Tensor, ...]]:
    """`n` tensors of standard normals."""
    return lambda generator, is_large: tuple(
        torch.randn(large if is_large else small, generator=generator, dtype=torch.float64) for _ in range(n)
    )


LOGITS = normal((4, 16, 64), (16, 512, 8192))


def labels_of(logits: Tensor) -> Tensor:
    """A label for every second position."""
    numbers = torch.arange(logits.shape[0] * logits.shape[1], device=logits.device).view(logits.shape[:2])
    return (numbers % logits.shape[2]).masked_fill(numbers % 2 == 0, -100)


def segments_of(x: Tensor) -> Tensor:
    """Segments of 7 tokens, and padding at the end, for x of shape (B, T, ...)."""
    places = torch.arange(x.shape[1], device=x.device)
    return (places // 7 + 1).masked_fill(places >= x.shape[1] - 3, 0).expand(x.shape[:2])


def sft_gradient(posttraining: ModuleType, logits: Tensor) -> Tensor:
    leaf = logits.clone().requires_grad_()
    with torch.enable_grad():
        posttraining.sft_loss(leaf, labels_of(leaf)).backward()
    return leaf.grad


class Last(torch.nn.Module):
    """Its logits are its input through one matrix."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def accumulated(posttraining: ModuleType, x: Tensor, weight: Tensor, *, gradient: bool = False) -> Tensor:
    """Uneven microbatches: the first row alone, and the others."""
    model = Last(weight.flatten(0, 1)[: x.shape[-1]])  # square
    labels = labels_of(x @ model.weight.detach())
    with torch.enable_grad():
        loss = posttraining.accumulated_sft_loss(model, [(x[:1], labels[:1]), (x[1:], labels[1:])])
    return model.weight.grad if gradient else loss


def walls(posttraining: ModuleType, x: Tensor) -> Tensor:
    """Attention under the mask; padding sees itself, so that no row is empty."""
    mask = posttraining.block_causal_mask(segments_of(x))
    return F.scaled_dot_product_attention(
        x, x, x, attn_mask=mask | torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
    )


def packed(posttraining: ModuleType, logits: Tensor) -> Tensor:
    """The loss of packed texts."""
    ids = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2]) % logits.shape[2]
    return posttraining.sft_loss(logits, posttraining.packed_labels(ids, segments_of(logits)))


def kept(posttraining: ModuleType, with_: Tensor, empty: Tensor, without: Tensor) -> Tensor:
    """The losses of the calls that are kept. Halves are exact in every dtype, and so are their differences."""
    rounded = [(2 * x).round() / 2 for x in (with_, empty, without)]
    return torch.where(posttraining.toolformer_keep(*rounded, tau=0.5), rounded[0], rounded[1])


CASES = [
    Case("sft_loss", LOGITS, lambda posttraining, logits: posttraining.sft_loss(logits, labels_of(logits))),
    Case("its gradient", LOGITS, sft_gradient, bfloat16=5e-2),
    Case("accumulated_sft_loss", normal((5, 8, 16), (32, 512, 256), n=2), accumulated),
    Case(
        "its gradient, accumulated",
        normal((5, 8, 16), (32, 512, 256), n=2),
        lambda posttraining, x, weight: accumulated(posttraining, x, weight, gradient=True),
        bfloat16=5e-2,
    ),
    Case("block_causal_mask", normal((2, 40, 16), (8, 2048, 64)), walls),
    Case("packed_labels", LOGITS, packed),
    Case(
        "toolformer_loss",
        normal((3, 20), (4096, 512)),
        lambda posttraining, losses: posttraining.toolformer_loss(losses.abs(), 4),
    ),
    Case("toolformer_keep", normal((3, 20), (4096, 512), n=3), kept),
]
