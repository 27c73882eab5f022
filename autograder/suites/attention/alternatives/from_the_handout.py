"""A valid solution, written from the handout alone by somebody who had not seen the reference."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def _widen(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def softmax(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    if x.shape and x.shape[dim] == 0:
        return x.clone()
    wide = _widen(x)
    powers = (wide - wide.amax(dim, keepdim=True).detach()).exp()
    return (powers / powers.sum(dim, keepdim=True)).to(x.dtype)


def causal_mask(
    q_len: int, k_len: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "q_len k_len"]:
    if k_len is None:
        k_len = q_len
    queries = torch.arange(q_len, device=device)[:, None]
    keys = torch.arange(k_len, device=device)
    return keys <= queries + (k_len - q_len)


def scaled_dot_product_attention(
    q: Float[Tensor, "... q_len d_k"],
    k: Float[Tensor, "... k_len d_k"],
    v: Float[Tensor, "... k_len d_v"],
    mask: Bool[Tensor, "#... #q_len k_len"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "... q_len d_v"]:
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1])
    scores = _widen(q) @ _widen(k).mT * scale
    if mask is None:
        weights = softmax(scores, dim=-1)
    else:
        sees_something = mask.any(-1, keepdim=True)
        scores = torch.where(mask, scores, -math.inf)
        scores = torch.where(sees_something, scores, 0.0)  # a row of -inf would be NaN
        weights = torch.where(sees_something, softmax(scores, dim=-1), 0.0)
    return (weights @ _widen(v)).to(q.dtype)


def split_heads(x: Float[Tensor, "b t c"], n_heads: int) -> Float[Tensor, "b n_heads t d"]:
    return x.unflatten(-1, (n_heads, x.shape[-1] // n_heads)).transpose(1, 2)


def merge_heads(x: Float[Tensor, "b n_heads t d"]) -> Float[Tensor, "b t c"]:
    return x.transpose(1, 2).flatten(2)


class CausalSelfAttention(nn.Module):
    def __init__(self, d_model: int, n_heads: int, bias: bool = True) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model={d_model} is not a multiple of n_heads={n_heads}")
        self.n_heads = n_heads
        self.q = nn.Linear(d_model, d_model, bias=bias)
        self.k = nn.Linear(d_model, d_model, bias=bias)
        self.v = nn.Linear(d_model, d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(
        self, x: Float[Tensor, "b t c"], key_padding_mask: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b t c"]:
        q, k, v = (split_heads(project(x), self.n_heads) for project in (self.q, self.k, self.v))
        mask = causal_mask(x.shape[1], device=x.device)
        if key_padding_mask is not None:
            mask = mask & key_padding_mask[:, None, None, :]
        return self.out(merge_heads(scaled_dot_product_attention(q, k, v, mask)))


def apply_rope(
    x: Float[Tensor, "... t d"], positions: Int[Tensor, "#... t"] | None = None, theta: float = 10000.0
) -> Float[Tensor, "... t d"]:
    t, d = x.shape[-2:]
    if positions is None:
        positions = torch.arange(t, device=x.device)
    wide = _widen(x)
    frequencies = theta ** (-torch.arange(0, d, 2, device=x.device, dtype=wide.dtype) / d)
    angles = positions.to(x.device, wide.dtype)[..., None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    a, b = wide[..., 0::2], wide[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2).to(x.dtype)


def chunked_attention(
    q: Float[Tensor, "... q_len d_k"],
    k: Float[Tensor, "... k_len d_k"],
    v: Float[Tensor, "... k_len d_v"],
    *,
    causal: bool,
    block_size: int = 128,
) -> Float[Tensor, "... q_len d_v"]:
    q_len, k_len = q.shape[-2], k.shape[-2]
    batch = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    result = q.new_zeros(*batch, q_len, v.shape[-1])
    if k_len == 0:
        return result
    scale = 1 / math.sqrt(q.shape[-1])
    offset = k_len - q_len  # query i sees the keys up to i + offset
    for q_start in range(0, q_len, block_size):
        q_end = min(q_start + block_size, q_len)
        queries = _widen(q[..., q_start:q_end, :]) * scale
        largest = queries.new_full((*batch, q_end - q_start, 1), -math.inf)
        total = torch.zeros_like(largest)
        weighted = queries.new_zeros(*batch, q_end - q_start, v.shape[-1])
        for k_start in range(0, q_end + offset if causal else k_len, block_size):
            k_end = min(k_start + block_size, k_len)
            scores = queries @ _widen(k[..., k_start:k_end, :]).mT
            if causal and k_end - 1 > q_start + offset:  # the first query does not see the whole block
                last_seen = torch.arange(q_start, q_end, device=q.device)[:, None] + offset
                scores = scores.masked_fill(torch.arange(k_start, k_end, device=q.device) > last_seen, -math.inf)
            new_largest = torch.maximum(largest, scores.amax(-1, keepdim=True))
            shrink = (largest - new_largest).exp()
            powers = (scores - new_largest).exp()
            total = total * shrink + powers.sum(-1, keepdim=True)
            weighted = weighted * shrink + powers @ _widen(v[..., k_start:k_end, :])
            largest = new_largest
        result[..., q_start:q_end, :] = (weighted / total).to(q.dtype)
    return result


class CopyModel(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        context_length: int,
        d_model: int = 32,
        n_heads: int = 2,
        n_layers: int = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(n_layers))
        self.layers = nn.ModuleList(CausalSelfAttention(d_model, n_heads, bias=False) for _ in range(n_layers))
        self.unembed = nn.Linear(d_model, vocab_size, bias=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:  # the norms keep their ones and zeros
                nn.init.normal_(parameter, std=d_model**-0.5, generator=generator)

    def embed(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t c"]:
        return self.token(tokens) + self.position(torch.arange(tokens.shape[-1], device=tokens.device))

    def forward(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t vocab_size"]:
        x = self.embed(tokens)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        return self.unembed(x)


def attention_map(model: CopyModel, tokens: Int[Tensor, " t"]) -> Float[Tensor, "n_layers n_heads t t"]:
    maps = []
    with torch.no_grad():
        x = model.embed(tokens[None])
        t = tokens.shape[0]
        identity = torch.eye(t, dtype=x.dtype, device=x.device)
        mask = causal_mask(t, device=x.device)
        for norm, layer in zip(model.norms, model.layers, strict=True):
            normed = norm(x)
            q, k = (split_heads(project(normed), layer.n_heads) for project in (layer.q, layer.k))
            maps.append(scaled_dot_product_attention(q, k, identity.expand(*q.shape[:2], t, t), mask)[0])
            x = x + layer(normed)
    return torch.stack(maps)


def repeated_sequences(
    batch_size: int, length: int, vocab_size: int, generator: torch.Generator | None = None
) -> Int[Tensor, "b 2*length"]:
    half = torch.randint(vocab_size, (batch_size, length), generator=generator)
    return torch.cat((half, half), dim=1)


def copy_loss(logits: Float[Tensor, "b 2*length vocab_size"], tokens: Int[Tensor, "b 2*length"]) -> Float[Tensor, ""]:
    length = tokens.shape[1] // 2
    predictions = _widen(logits[:, length - 1 : 2 * length - 1])
    return F.cross_entropy(predictions.flatten(0, 1), tokens[:, length:].flatten()).to(logits.dtype)


def train_copy_task(
    steps: int,
    *,
    vocab_size: int = 16,
    length: int = 8,
    batch_size: int = 32,
    learning_rate: float = 1e-2,
    generator: torch.Generator | None = None,
) -> tuple[CopyModel, list[float]]:
    model = CopyModel(vocab_size, 2 * length, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        tokens = repeated_sequences(batch_size, length, vocab_size, generator)
        loss = copy_loss(model(tokens), tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses
