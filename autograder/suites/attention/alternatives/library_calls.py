"""A valid solution: torch's own softmax and attention wherever there is one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def softmax(x, dim):
    return F.softmax(x, dim=dim)


def causal_mask(q_len, k_len=None, device=None):
    k_len = q_len if k_len is None else k_len
    return torch.triu(torch.ones((q_len, k_len), device=device), diagonal=k_len - q_len + 1) == 0


def scaled_dot_product_attention(q, k, v, mask=None, scale=None):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def split_heads(x, n_heads):
    batch, length, channels = x.shape
    return x.reshape(batch, length, n_heads, channels // n_heads).permute(0, 2, 1, 3)


def merge_heads(x):
    batch, heads, length, d = x.shape
    return x.permute(0, 2, 1, 3).contiguous().view(batch, length, heads * d)


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
        q = split_heads(self.q(x), self.n_heads)
        k = split_heads(self.k(x), self.n_heads)
        v = split_heads(self.v(x), self.n_heads)
        if key_padding_mask is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            length = x.shape[1]
            mask = causal_mask(length, device=x.device).logical_and(key_padding_mask.view(-1, 1, 1, length))
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(merge_heads(mixed))


def apply_rope(x, positions=None, theta=10000.0):
    length, d = x.shape[-2:]
    if positions is None:
        positions = torch.arange(length, device=x.device)
    inverse = 1.0 / theta ** (torch.arange(0, d, 2, device=x.device).float() / d)
    angles = (positions.float().unsqueeze(-1) * inverse).repeat_interleave(2, dim=-1)
    rotated = torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).reshape(x.shape)
    return x * angles.cos().to(x.dtype) + rotated * angles.sin().to(x.dtype)


def chunked_attention(q, k, v, *, causal, block_size=128):
    offset = k.shape[-2] - q.shape[-2]
    rows = []
    for start in range(0, q.shape[-2], block_size):
        block = q[..., start : start + block_size, :]
        if not causal:
            rows.append(F.scaled_dot_product_attention(block, k, v))
            continue
        end = start + block.shape[-2] + offset
        mask = causal_mask(block.shape[-2], end, device=q.device)
        rows.append(F.scaled_dot_product_attention(block, k[..., :end, :], v[..., :end, :], attn_mask=mask))
    return torch.cat(rows, dim=-2)


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
    queries, keys = [], []
    hooks = [layer.q.register_forward_hook(lambda _m, _i, out: queries.append(out.detach())) for layer in model.layers]
    hooks += [layer.k.register_forward_hook(lambda _m, _i, out: keys.append(out.detach())) for layer in model.layers]
    model(tokens.view(1, -1))
    for hook in hooks:
        hook.remove()
    maps = []
    for layer, q, k in zip(model.layers, queries, keys, strict=True):
        q, k = split_heads(q, layer.n_heads)[0], split_heads(k, layer.n_heads)[0]
        scores = q @ k.transpose(1, 2) * q.shape[-1] ** -0.5
        maps.append(F.softmax(scores.masked_fill(~causal_mask(len(tokens), device=q.device), float("-inf")), dim=-1))
    return torch.stack(maps, dim=0)


def repeated_sequences(batch_size, length, vocab_size, generator=None):
    half = torch.randint(vocab_size, (batch_size, length), generator=generator)
    return torch.cat((half, half), dim=1)


def copy_loss(logits, tokens):
    half = tokens.shape[1] // 2
    targets = torch.full_like(tokens, -100)
    targets[:, half - 1 : -1] = tokens[:, half:]
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))


def train_copy_task(steps, *, vocab_size=16, length=8, batch_size=32, learning_rate=1e-2, generator=None):
    model = CopyModel(vocab_size, 2 * length, generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    losses = []
    for _step in range(steps):
        tokens = repeated_sequences(batch_size, length, vocab_size, generator)
        optimizer.zero_grad(set_to_none=True)
        loss = copy_loss(model(tokens), tokens)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return model, losses
