"""Every function of the attention assignment that works on tensors."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Generator, Tensor

from gpu_cases import Case


def normal(
    small: tuple[int, ...], large: tuple[int, ...], n: int = 1
) -> Callable[[Generator, bool], tuple[Tensor, ...]]:
    """`n` tensors of standard normals."""
    return lambda generator, is_large: tuple(
        torch.randn(large if is_large else small, generator=generator, dtype=torch.float64) for _ in range(n)
    )


QKV = normal((2, 4, 96, 32), (4, 8, 2048, 64), n=3)


def causal(attention: ModuleType, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mask = attention.causal_mask(q.shape[-2], k.shape[-2], device=q.device)
    return attention.scaled_dot_product_attention(q, k, v, mask)


def empty_rows(attention: ModuleType, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The first queries may attend to nothing."""
    mask = attention.causal_mask(q.shape[-2], k.shape[-2] - 5, device=q.device)
    return attention.scaled_dot_product_attention(q, k[..., :-5, :], v[..., :-5, :], mask)


def gradient(attention: ModuleType, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    with torch.enable_grad():
        (causal(attention, *leaves) * v).sum().backward()
    return torch.stack([leaf.grad for leaf in leaves])


def blocks(attention: ModuleType, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return attention.chunked_attention(q, k, v, causal=True, block_size=64 if q.shape[-2] < 512 else 512)


def layer(attention: ModuleType, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    made = attention.CausalSelfAttention(x.shape[-1], 4).to(x.device, x.dtype)
    real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    real[0, :3] = False  # padding on the left
    return made(x, real)


def maps(attention: ModuleType, anchor: Tensor) -> Tensor:
    """The maps of an untrained model: training draws on the CPU. `anchor` says where, and in what dtype."""
    source = torch.Generator().manual_seed(0)
    model = attention.CopyModel(16, 32, generator=source).to(anchor.device, anchor.dtype)
    tokens = attention.repeated_sequences(1, 16, 16, source)[0].to(anchor.device)
    return attention.attention_map(model, tokens)


def loss(attention: ModuleType, logits: Tensor) -> Tensor:
    tokens = torch.arange(logits.shape[0] * logits.shape[1], device=logits.device).view(logits.shape[:2])
    return attention.copy_loss(logits, tokens % logits.shape[2])


CASES = [
    Case("softmax", normal((8, 333), (8192, 8192)), lambda attention, x: attention.softmax(x, dim=-1)),
    Case(
        "scaled_dot_product_attention", QKV, lambda attention, q, k, v: attention.scaled_dot_product_attention(q, k, v)
    ),
    Case("with a causal mask", QKV, causal),
    Case("with rows that see nothing", QKV, empty_rows),
    Case("its gradients", QKV, gradient, bfloat16=5e-2),
    Case(
        "heads",
        normal((2, 7, 24), (8, 4096, 1024)),
        lambda attention, x: attention.merge_heads(attention.split_heads(x, 4)),
    ),
    Case("CausalSelfAttention", normal((2, 40, 64), (8, 1024, 512)), layer),
    Case("apply_rope", normal((2, 4, 300, 32), (8, 16, 4096, 64)), lambda attention, x: attention.apply_rope(x)),
    Case("chunked_attention", QKV, blocks),
    Case("attention_map", normal((1,), (1,)), maps, bfloat16=5e-2),
    Case("copy_loss", normal((4, 16, 11), (256, 512, 64)), loss),
]
