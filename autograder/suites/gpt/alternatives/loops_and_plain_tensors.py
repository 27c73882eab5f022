"""Written out: additive masks and einsum, a cache that concatenates, inverse-CDF draws, one prompt at a time."""

from __future__ import annotations

import copy
import heapq
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


def chunk_tokens(ids, context_length):
    m = (len(ids) - 1) // context_length
    windows = [ids[i * context_length : (i + 1) * context_length + 1] for i in range(m)]
    if not windows:
        empty = ids.new_empty((0, context_length))
        return empty, empty
    together = torch.stack(windows)
    return together[:, :-1], together[:, 1:]


def get_batch(data, batch_size, context_length, generator=None, device="cpu"):
    starts = (torch.rand(batch_size, generator=generator, dtype=torch.float64) * (len(data) - context_length)).long()
    rows = []
    for start in starts.tolist():
        window = data[start : start + context_length + 1]
        rows.append(
            torch.as_tensor(np.array(window, dtype=np.int64)) if isinstance(window, np.ndarray) else window.long()
        )
    both = torch.stack(rows).to(device)
    return both[:, :-1], both[:, 1:]


def lm_loss(logits, targets, ignore_index=-100):
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    counted = targets != ignore_index
    chosen = logits.gather(2, targets.where(counted, 0)[:, :, None])[:, :, 0]
    nll = torch.logsumexp(logits, dim=2) - chosen
    nll = torch.where(counted, nll, torch.zeros_like(nll))
    return nll.sum() / max(int(counted.sum()), 1)


def perplexity(total_nll, n_tokens):
    if n_tokens <= 0:
        raise ValueError("no tokens")
    return math.e ** (total_nll / n_tokens)


def bits_per_byte(total_nll, n_bytes):
    if n_bytes <= 0:
        raise ValueError("no bytes")
    return total_nll / n_bytes * math.log2(math.e)


@dataclass(frozen=True)
class GPTConfig:
    vocab_size: int
    context_length: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int | None = None
    dropout: float = 0.0
    norm: str = "layernorm"
    activation: str = "gelu"
    bias: bool = True


class KVCache:
    """Not preallocated: every piece is kept, and joined when it is asked for."""

    def __init__(self, n_layers, batch_size, n_heads, max_len, d_head, dtype=None, device=None):
        self.max_len = max_len
        self.layers = [
            [torch.zeros(batch_size, n_heads, 0, d_head, dtype=dtype, device=device)] * 2 for _ in range(n_layers)
        ]

    @property
    def length(self):
        return self.layers[-1][0].shape[2]

    def update(self, layer, k, v):
        joined = [torch.cat((old, new), dim=2) for old, new in zip(self.layers[layer], (k, v))]
        if joined[0].shape[2] > self.max_len:
            # A pass that failed half way leaves no trace in the layers that it has reached.
            self.truncate(self.length)
            raise ValueError("the cache is full")
        self.layers[layer] = joined
        return tuple(joined)

    def truncate(self, length):
        if length < 0 or length > self.length:
            raise ValueError("there are not that many tokens")
        self.layers = [[x[:, :, :length] for x in pair] for pair in self.layers]

    def reset(self):
        self.truncate(0)


class SelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_heads = config.n_heads
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)

    def forward(self, x, attention_mask=None, cache=None, layer=0):
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.n_heads, c // self.n_heads).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.update(layer, k, v)
        s = k.shape[2]
        scores = torch.einsum("bhid,bhjd->bhij", q, k) * (c // self.n_heads) ** -0.5
        rows = torch.arange(s - t, s, device=x.device)[:, None]
        columns = torch.arange(s, device=x.device)[None, :]
        scores = scores + torch.zeros(t, s, dtype=x.dtype, device=x.device).masked_fill(columns > rows, -math.inf)
        if attention_mask is not None:
            hidden = ~attention_mask[:, None, :] & (columns != rows)
            scores = (
                scores + torch.zeros(b, t, s, dtype=x.dtype, device=x.device).masked_fill(hidden, -math.inf)[:, None]
            )
        scores = scores - scores.max(dim=-1, keepdim=True).values
        weights = scores.exp()
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return self.out(torch.einsum("bhij,bhjd->bihd", weights, v).reshape(b, t, c))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        d_ff = config.d_ff or 4 * config.d_model
        self.up = nn.Linear(config.d_model, d_ff, bias=config.bias)
        self.gate = nn.Linear(config.d_model, d_ff, bias=config.bias) if config.activation == "swiglu" else None
        self.down = nn.Linear(d_ff, config.d_model, bias=config.bias)

    def forward(self, x):
        u = self.up(x)
        if self.gate is not None:
            g = self.gate(x)
            return self.down(g * torch.sigmoid(g) * u)
        inner = math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)
        return self.down(0.5 * u * (1 + torch.tanh(inner)))


def _norm(config):
    return nn.LayerNorm(config.d_model) if config.norm == "layernorm" else nn.RMSNorm(config.d_model, eps=1e-5)


class TransformerBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm_1 = _norm(config)
        self.attention = SelfAttention(config)
        self.norm_2 = _norm(config)
        self.mlp = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, attention_mask=None, cache=None, layer=0):
        a = self.attention(self.norm_1(x), attention_mask, cache, layer)
        y = x + self.dropout(a)
        m = self.mlp(self.norm_2(y))
        return y + self.dropout(m)


class GPT(nn.Module):
    def __init__(self, config, generator=None):
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = nn.Embedding(config.context_length, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([TransformerBlock(config) for _ in range(config.n_layers)])
        self.norm = _norm(config)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, input_ids, *, cache=None, position_ids=None, attention_mask=None):
        past = cache.length if cache is not None else 0
        if past + input_ids.shape[1] > self.config.context_length:
            raise ValueError("longer than the context")
        if position_ids is None:
            position_ids = past + torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        x = self.dropout(self.token.weight[input_ids] + self.position.weight[position_ids])
        for i, block in enumerate(self.blocks):
            x = block(x, attention_mask=attention_mask, cache=cache, layer=i)
        return self.norm(x) @ self.token.weight.T


class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                n = s["n"] = s.get("n", 0) + 1
                zero = torch.zeros_like(p)
                s["m"] = b1 * s.get("m", zero) + (1 - b1) * p.grad
                s["v"] = b2 * s.get("v", zero) + (1 - b2) * p.grad**2
                m_hat = s["m"] / (1 - b1**n)
                v_hat = s["v"] / (1 - b2**n)
                p.copy_(p - group["lr"] * (m_hat / (v_hat**0.5 + group["eps"]) + group["weight_decay"] * p))


def cosine_schedule(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return step * (max_lr / warmup_steps)
    left = max(total_steps - step, 0)
    if left == 0:
        return min_lr
    return min_lr + (max_lr - min_lr) * math.sin(math.pi / 2 * left / (total_steps - warmup_steps)) ** 2


def clip_grad_norm(parameters, max_norm):
    parameters = list(parameters)
    total = sum((p.grad.double() ** 2).sum() for p in parameters if p.grad is not None)
    if not torch.is_tensor(total):
        return torch.zeros(())
    norm = total.sqrt()
    if float(norm) + 1e-6 > max_norm:
        for p in parameters:
            if p.grad is not None:
                p.grad *= max_norm / (float(norm) + 1e-6)
    return norm


@dataclass(frozen=True)
class TrainConfig:
    steps: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    min_learning_rate: float = 1e-4
    warmup_steps: int = 0
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    max_norm: float = 1.0


def train(model, data, config, *, generator=None, checkpoint=None, until=None):
    if generator is None:
        generator = torch.default_generator
    matrices, vectors = [], []
    for p in model.parameters():
        (matrices if p.ndim > 1 else vectors).append(p)
    optimizer = AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    )
    done = 0
    if checkpoint is not None:
        checkpoint = copy.deepcopy(checkpoint)
        done = checkpoint["step"]
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        generator.set_state(checkpoint["generator"])
    mode = model.training
    model.train()
    losses = []
    for n in range(done + 1, (config.steps if until is None else until) + 1):
        rate = cosine_schedule(
            n, max_lr=config.learning_rate, min_lr=config.min_learning_rate,
            warmup_steps=config.warmup_steps, total_steps=config.steps,
        )  # fmt: skip
        for group in optimizer.param_groups:
            group.update(lr=rate, betas=config.betas)
        model.zero_grad()
        x, y = get_batch(data, config.batch_size, model.config.context_length, generator, model.token.weight.device)
        loss = lm_loss(model(x), y)
        loss.backward()
        clip_grad_norm(model.parameters(), config.max_norm)
        optimizer.step()
        losses.append(loss.detach())
        done = n
    model.train(mode)
    state = {
        "step": done,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
    }
    return torch.stack(losses) if losses else torch.zeros(0), copy.deepcopy(
        {k: dict(v) if k == "model" else v for k, v in state.items()}
    )


def apply_temperature(logits, temperature):
    if temperature < 0:
        raise ValueError("negative temperature")
    if temperature > 0:
        return logits * (1.0 / temperature)
    result = torch.full_like(logits, float("-inf"))
    flat, source = result.view(-1, logits.shape[-1]), logits.reshape(-1, logits.shape[-1])
    flat[torch.arange(len(flat)), source.max(dim=-1).indices] = 0.0
    return result


def top_k_filter(logits, k):
    if k < 1:
        raise ValueError("k is at least 1")
    place = logits.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)  # exactly k stay, also among equals
    return torch.where(place < k, logits, float("-inf"))


def top_p_filter(logits, p, min_tokens_to_keep=1):
    if p >= 1:
        return logits.clone()
    result = torch.full_like(logits, float("-inf"))
    for row, out in zip(logits.reshape(-1, logits.shape[-1]), result.view(-1, logits.shape[-1])):
        mass = 0.0
        for count, i in enumerate(row.double().argsort(descending=True).tolist()):
            if mass >= p and count >= min_tokens_to_keep:
                break
            out[i] = row[i]
            mass += float(row.double().softmax(-1)[i])
    return result


def _draw(probabilities, generator):
    """One id a row of (B, V): the first whose cumulative probability passes a uniform number."""
    cumulative = probabilities.double().cumsum(-1)
    u = torch.rand(len(probabilities), 1, generator=generator, dtype=torch.float64) * cumulative[:, -1:]
    return (cumulative <= u).sum(-1)


def sample_next(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    unique, which = torch.unique(
        logits.double(), dim=0, return_inverse=True
    )  # the filters work row by row: each row once
    unique = apply_temperature(unique, temperature)
    if top_k is not None:
        unique = top_k_filter(unique, top_k)
    if top_p is not None:
        unique = top_p_filter(unique, top_p)
    return _draw(unique.softmax(-1)[which], generator)


def new_cache(model, batch_size, max_len):
    c, w = model.config, model.token.weight
    return KVCache(c.n_layers, batch_size, c.n_heads, max_len, c.d_model // c.n_heads, dtype=w.dtype, device=w.device)


@torch.no_grad()
def generate(
    model, input_ids, max_new_tokens, *, eos_id=None, pad_id=None, use_cache=True, attention_mask=None, **sampling
):
    mode = model.training
    model.eval()
    context = model.config.context_length
    ids = input_ids.clone()
    real = torch.ones_like(ids, dtype=torch.bool) if attention_mask is None else attention_mask
    alive = [True] * len(ids)
    cache = new_cache(model, len(ids), context) if use_cache else None
    while ids.shape[1] < input_ids.shape[1] + max_new_tokens and any(alive):
        shown, mask = ids[:, -context:], real[:, -context:]
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)
        if use_cache and ids.shape[1] <= context:
            n = cache.length
            logits = model(shown[:, n:], cache=cache, position_ids=positions[:, n:], attention_mask=mask)
        elif attention_mask is not None:
            logits = model(shown, position_ids=positions, attention_mask=mask)
        else:
            logits = model(shown)
        token = sample_next(logits[:, -1], **sampling)
        for row, going in enumerate(alive):
            if not going:
                token[row] = eos_id if pad_id is None else pad_id
            elif eos_id is not None and int(token[row]) == eos_id:
                alive[row] = False
        ids = torch.hstack((ids, token[:, None]))
        real = torch.hstack((real, torch.ones_like(token[:, None], dtype=torch.bool)))
    model.train(mode)
    return ids


def generate_batch(model, prompts, max_new_tokens, *, pad_id, eos_id=None, **sampling):
    rows = []
    for prompt in prompts:  # one at a time: slow, and nothing to pad
        out = generate(model, torch.tensor([list(prompt)]), max_new_tokens, eos_id=eos_id, **sampling)
        rows.append(out[0, len(prompt) :].tolist())
    return rows


@torch.no_grad()
def beam_search(model, input_ids, beam_width, max_new_tokens, length_penalty=0.0, eos_id=None):
    prompt = input_ids[0].tolist()
    beam = [((), 0.0, 0.0)]  # tokens, sum of log-probabilities, score
    for _ in range(max_new_tokens):
        candidates = []
        for tokens, total, score in beam:
            if tokens and tokens[-1] == eos_id:
                candidates.append((tokens, total, score))
                continue
            text = torch.tensor([prompt + list(tokens)])[:, -model.config.context_length :]
            logits = model(text)[0, -1].double()
            for i, log_p in enumerate((logits - torch.logsumexp(logits, 0)).tolist()):
                if log_p > -math.inf:
                    n = len(tokens) + 1
                    candidates.append(((*tokens, i), total + log_p, (total + log_p) / n**length_penalty))
        beam = heapq.nlargest(beam_width, candidates, key=lambda c: c[2])
    return [(list(tokens), score) for tokens, _, score in beam]


@torch.no_grad()
def speculative_sample(
    target, draft, input_ids, n_draft, generator=None, *, temperature=1.0, target_cache=None, draft_cache=None
):  # fmt: skip
    b, t = input_ids.shape
    if b > 1 and (target_cache is not None or draft_cache is not None):
        raise ValueError("one row only")
    ids, q = input_ids, []
    for _ in range(n_draft):
        fed = ids if draft_cache is None else ids[:, draft_cache.length :]
        logits = draft(fed) if draft_cache is None else draft(fed, cache=draft_cache)
        q.append(torch.softmax(apply_temperature(logits[:, -1], temperature), -1))
        ids = torch.hstack((ids, _draw(q[-1], generator)[:, None]))
    logits = target(ids) if target_cache is None else target(ids[:, target_cache.length :], cache=target_cache)
    p = torch.softmax(apply_temperature(logits[:, -n_draft - 1 :], temperature), -1)
    tokens = torch.full((b, n_draft + 1), -100)
    n_new = torch.zeros(b, dtype=torch.long)
    going = torch.ones(b, dtype=torch.bool)  # rows whose proposals were all accepted so far
    rows = torch.arange(b)
    for i in range(n_draft):
        x = ids[:, t + i]
        ratio = p[rows, i, x] / q[i][rows, x]
        accepted = going & (torch.rand(b, generator=generator, dtype=torch.float64) < ratio)
        rejected = going & ~accepted
        tokens[accepted, i] = x[accepted]
        if rejected.any():
            rest = torch.relu(p[rejected, i] - q[i][rejected])
            tokens[rejected, i] = _draw(rest / rest.sum(-1, keepdim=True), generator)
        n_new += going
        going = accepted
    if going.any():
        tokens[going, n_draft] = _draw(p[going, n_draft], generator)
    n_new += going
    for cache in (target_cache, draft_cache):
        if cache is not None and cache.length > t + int(n_new) - 1:
            cache.truncate(t + int(n_new) - 1)
    return tokens, n_new
