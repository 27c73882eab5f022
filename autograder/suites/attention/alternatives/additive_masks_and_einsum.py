"""A valid solution: softmax by logsumexp, additive masks, einsum, complex rotations, blocks merged by log-sum-exp."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


def softmax(x, dim):
    dtype = torch.promote_types(x.dtype, torch.float32)
    x32 = x.to(dtype)
    return torch.exp(x32 - torch.logsumexp(x32, dim, keepdim=True)).to(x.dtype)


def causal_mask(q_len, k_len=None, device=None):
    if k_len is None:
        k_len = q_len
    queries = torch.arange(q_len, device=device).view(q_len, 1)
    keys = torch.arange(k_len, device=device).view(1, k_len)
    return queries - q_len >= keys - k_len


def scaled_dot_product_attention(q, k, v, mask=None, scale=None):
    if scale is None:
        scale = q.size(-1) ** -0.5
    scores = torch.einsum("...qd,...kd->...qk", q * scale, k)
    if mask is None:
        return torch.einsum("...qk,...kv->...qv", softmax(scores, -1), v)
    seen = mask.any(-1, keepdim=True)
    bias = torch.zeros(mask.shape, dtype=scores.dtype, device=scores.device)
    bias = bias.masked_fill(torch.logical_not(mask) & seen, float("-inf"))
    out = torch.einsum("...qk,...kv->...qv", softmax(scores + bias, -1), v)
    return torch.where(seen, out, torch.zeros((), dtype=out.dtype, device=out.device))


def split_heads(x, n_heads):
    return torch.stack(x.chunk(n_heads, dim=-1), dim=1)


def merge_heads(x):
    return torch.cat(x.unbind(1), dim=-1)


class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError("d_model must be a multiple of n_heads")
        self.n_heads = n_heads
        self.q = nn.Linear(d_model, d_model, bias=bias)
        self.k = nn.Linear(d_model, d_model, bias=bias)
        self.v = nn.Linear(d_model, d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, key_padding_mask=None):
        batch, length, channels = x.shape
        shape = (batch, length, self.n_heads, channels // self.n_heads)
        q, k, v = self.q(x).view(shape), self.k(x).view(shape), self.v(x).view(shape)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(shape[-1])
        visible = causal_mask(length, device=x.device).expand(batch, length, length)
        if key_padding_mask is not None:
            visible = visible * key_padding_mask.view(batch, 1, length)
        visible = visible.view(batch, 1, length, length)
        lowest = torch.finfo(scores.dtype).min
        weights = torch.softmax(torch.where(visible, scores, lowest), dim=-1) * visible
        return self.out(torch.einsum("bhqk,bkhd->bqhd", weights, v).reshape(batch, length, channels))


def apply_rope(x, positions=None, theta=10000.0):
    length, d = x.shape[-2], x.shape[-1]
    if positions is None:
        positions = torch.arange(length, device=x.device)
    exponents = torch.arange(d // 2, dtype=torch.float64, device=x.device) * (2 / d)
    angles = positions[..., None].double() * torch.exp(-exponents * math.log(theta))
    pairs = torch.view_as_complex(x.double().reshape(*x.shape[:-1], d // 2, 2).contiguous())
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).reshape(x.shape).to(x.dtype)


def chunked_attention(q, k, v, *, causal, block_size=128):
    dtype = torch.promote_types(q.dtype, torch.float32)
    n, m = q.size(-2), k.size(-2)
    positions = torch.arange(m - n, m, device=q.device).unsqueeze(-1)
    scaled = q.to(dtype) / q.size(-1) ** 0.5
    out, lse = None, None
    for start, (k_block, v_block) in enumerate(zip(k.split(block_size, -2), v.split(block_size, -2), strict=True)):
        scores = torch.matmul(scaled, k_block.to(dtype).transpose(-1, -2))
        if causal:
            columns = start * block_size + torch.arange(k_block.size(-2), device=q.device)
            scores.masked_fill_(columns > positions, float("-inf"))
        block_lse = scores.logsumexp(-1, keepdim=True)
        block_out = scores.sub_(block_lse.clamp(min=torch.finfo(dtype).min)).exp_() @ v_block.to(dtype)
        if out is None:
            out, lse = block_out, block_lse
        else:
            merged = torch.logaddexp(lse, block_lse)
            out = out * (lse - merged).exp() + block_out * (block_lse - merged).exp()
            lse = merged
    return out.to(q.dtype)


class CopyModel(nn.Module):
    def __init__(self, vocab_size, context_length, d_model=32, n_heads=2, n_layers=2, generator=None):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context_length, d_model)
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(n_layers))
        self.layers = nn.ModuleList(CausalSelfAttention(d_model, n_heads, bias=False) for _ in range(n_layers))
        self.unembed = nn.Linear(d_model, vocab_size, bias=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=d_model**-0.5, generator=generator)

    def embed(self, tokens):
        return self.token(tokens) + self.position(torch.arange(tokens.shape[-1], device=tokens.device))

    def forward(self, tokens):
        x = self.embed(tokens)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        return self.unembed(x)


@torch.no_grad()
def attention_map(model, tokens):
    x = model.embed(tokens.unsqueeze(0))
    length = len(tokens)
    future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
    result = []
    for norm, layer in zip(model.norms, model.layers, strict=True):
        h = norm(x)
        d = h.size(-1) // layer.n_heads
        q = layer.q(h)[0].view(length, layer.n_heads, d)
        k = layer.k(h)[0].view(length, layer.n_heads, d)
        scores = torch.einsum("qhd,khd->hqk", q, k) / d**0.5
        result.append(scores.masked_fill(future, float("-inf")).softmax(-1))
        x = x + layer(h)
    return torch.stack(result)


def repeated_sequences(batch_size, length, vocab_size, generator=None):
    half = torch.randint(vocab_size, (batch_size, length), generator=generator)
    return torch.cat((half, half), dim=1)


def copy_loss(logits, tokens):
    length = tokens.size(1) // 2
    log_probs = torch.log_softmax(logits[:, length - 1 : 2 * length - 1], dim=-1)
    return -log_probs.gather(-1, tokens[:, length:, None]).mean()


def train_copy_task(steps, *, vocab_size=16, length=8, batch_size=32, learning_rate=1e-2, generator=None):
    model = CopyModel(vocab_size, 2 * length, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        batch = repeated_sequences(batch_size, length, vocab_size, generator)
        loss = F.cross_entropy(model(batch)[:, length - 1 : -1].transpose(1, 2), batch[:, length:])
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return model, losses
