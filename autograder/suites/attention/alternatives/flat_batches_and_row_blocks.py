"""A valid solution: batches flattened for baddbmm, heads one after another, whole rows a block at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def softmax(x, dim):
    shifted = x - torch.max(x, dim, keepdim=True).values
    return torch.exp(shifted) / torch.exp(shifted).sum(dim, keepdim=True)


def causal_mask(q_len, k_len=None, device=None):
    k_len = q_len if k_len is None else k_len
    allowed = torch.zeros(q_len, k_len, dtype=torch.bool, device=device)
    for i in range(q_len):
        allowed[i, : max(0, k_len - q_len + i + 1)] = True
    return allowed


def scaled_dot_product_attention(q, k, v, mask=None, scale=None):
    lead, n, m = q.shape[:-2], q.shape[-2], k.shape[-2]
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    flat_q, flat_k, flat_v = (t.reshape(-1, *t.shape[-2:]) for t in (q, k, v))
    if mask is None:
        mask = torch.ones(1, 1, dtype=torch.bool, device=q.device)
    mask = mask.expand(*lead, n, m).reshape(-1, n, m)
    lowest = torch.full((), torch.finfo(q.dtype).min, dtype=q.dtype, device=q.device)
    scores = torch.baddbmm(torch.zeros((), dtype=q.dtype, device=q.device), flat_q, flat_k.mT, beta=0, alpha=scale)
    weights = torch.exp(torch.where(mask, scores - torch.where(mask, scores, lowest).amax(-1, keepdim=True), lowest))
    weights = torch.where(mask, weights, torch.zeros_like(weights))
    total = weights.sum(-1, keepdim=True)
    weights = weights / torch.where(total > 0, total, torch.ones_like(total))
    return torch.bmm(weights, flat_v).reshape(*lead, n, v.shape[-1])


def split_heads(x, n_heads):
    d = x.shape[-1] // n_heads
    heads = x.new_empty(x.shape[0], n_heads, x.shape[1], d)
    for h in range(n_heads):
        heads[:, h] = x[:, :, h * d : (h + 1) * d]
    return heads


def merge_heads(x):
    return torch.movedim(x, 1, 2).reshape(x.shape[0], x.shape[2], -1)


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
        mask = causal_mask(x.shape[1], device=x.device).unsqueeze(0)
        if key_padding_mask is not None:
            mask = mask & key_padding_mask.unsqueeze(1)
        d = x.shape[-1] // self.n_heads
        q, k, v = self.q(x).split(d, -1), self.k(x).split(d, -1), self.v(x).split(d, -1)
        heads = [scaled_dot_product_attention(*head, mask) for head in zip(q, k, v, strict=True)]
        return self.out(torch.cat(heads, dim=-1))


def apply_rope(x, positions=None, theta=10000.0):
    length, d = x.shape[-2:]
    if positions is None:
        positions = torch.arange(length, device=x.device)
    positions = positions.expand(x.shape[:-1])
    out = torch.empty_like(x)
    for i in range(d // 2):
        angle = positions.double() * theta ** (-2 * i / d)
        a, b = x[..., 2 * i].double(), x[..., 2 * i + 1].double()
        out[..., 2 * i] = a * torch.cos(angle) - b * torch.sin(angle)
        out[..., 2 * i + 1] = b * torch.cos(angle) + a * torch.sin(angle)
    return out


def chunked_attention(q, k, v, *, causal, block_size=128):
    n, m = q.shape[-2], k.shape[-2]
    out = q.new_empty(*q.shape[:-1], v.shape[-1])
    keys = torch.arange(m, device=q.device)
    for rows in torch.arange(n, device=q.device).split(block_size):
        mask = (keys <= rows[:, None] + m - n) if causal else None
        out[..., rows[0] : rows[-1] + 1, :] = scaled_dot_product_attention(
            q[..., rows[0] : rows[-1] + 1, :], k, v, mask
        )
    return out


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


def attention_map(model, tokens):
    x = model.embed(tokens[None, :])
    length, maps = tokens.shape[0], []
    for norm, layer in zip(model.norms, model.layers, strict=True):
        h = norm(x)
        d = h.shape[-1] // layer.n_heads
        heads = zip(layer.q(h)[0].split(d, -1), layer.k(h)[0].split(d, -1), strict=True)
        scores = torch.stack([q @ k.T for q, k in heads]) / d**0.5
        weights = softmax(scores.masked_fill(~causal_mask(length, device=x.device), -float("inf")), dim=2)
        maps.append(weights)
        x = x + layer(h)
    return torch.stack(maps).detach()


def repeated_sequences(batch_size, length, vocab_size, generator=None):
    half = torch.randint(vocab_size, (batch_size, length), generator=generator)
    return torch.cat((half, half), dim=1)


def copy_loss(logits, tokens):
    length = tokens.shape[1] // 2
    per_token = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    return per_token[:, length - 1 :].mean()


def train_copy_task(steps, *, vocab_size=16, length=8, batch_size=32, learning_rate=1e-2, generator=None):
    model = CopyModel(vocab_size, 2 * length, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    while len(losses) < steps:
        tokens = repeated_sequences(batch_size, length, vocab_size, generator)
        loss = copy_loss(model(tokens), tokens)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach().item())
    return model, losses
