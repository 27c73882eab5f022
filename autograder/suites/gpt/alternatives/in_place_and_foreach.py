"""Fast idioms: masks from torch's own attention biases, foreach updates, exponential races, decoding in two stages."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def chunk_tokens(ids, context_length):
    windows = ids.unfold(0, context_length + 1, context_length)
    return windows[:, :-1], windows[:, 1:]


def get_batch(data, batch_size, context_length, generator=None, device="cpu"):
    data = torch.from_numpy(np.asarray(data).astype(np.int64)) if isinstance(data, np.ndarray) else data.to(torch.int64)
    windows = data.unfold(0, context_length + 1, 1)  # every window, as a view
    picked = windows[torch.randint(0, len(windows), [batch_size], generator=generator).to(data.device)].to(device)
    return picked[:, :-1].contiguous(), picked[:, 1:].contiguous()


def lm_loss(logits, targets, ignore_index=-100):
    if logits.element_size() < 4:
        logits = logits.float()
    kept = targets.ne(ignore_index)
    weights = kept.to(logits.dtype) / kept.sum().clamp_min(1)
    log_p = logits.log_softmax(dim=-1)
    picked = -log_p.gather(-1, targets.clamp_min(0).unsqueeze(-1)).squeeze(-1)
    return torch.where(kept, picked * weights, 0.0).sum()


def perplexity(total_nll, n_tokens):
    if not n_tokens > 0:
        raise ValueError(n_tokens)
    return math.exp(total_nll / n_tokens)


def bits_per_byte(total_nll, n_bytes):
    if not n_bytes > 0:
        raise ValueError(n_bytes)
    return (total_nll / math.log(2)) / n_bytes


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
    """One tensor for keys and values, written by index."""

    def __init__(self, n_layers, batch_size, n_heads, max_len, d_head, dtype=None, device=None):
        self.memory = torch.full(
            (n_layers, 2, batch_size, n_heads, max_len, d_head), math.nan, dtype=dtype, device=device
        )
        self.length = 0

    def update(self, layer, k, v):
        n_layers, *_, max_len, _ = self.memory.shape
        stop = self.length + k.size(2)
        if stop > max_len:
            raise ValueError(f"full: {stop} > {max_len}")
        places = torch.arange(self.length, stop, device=k.device)
        self.memory[layer].index_copy_(3, places, torch.stack((k, v)).to(self.memory.dtype))
        self.length = stop if layer + 1 == n_layers else self.length
        return tuple(self.memory[layer].narrow(3, 0, stop).unbind(0))

    def truncate(self, length):
        if length not in range(self.length + 1):
            raise ValueError(length)
        self.length = length

    def reset(self):
        self.__dict__["length"] = 0


class SelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_heads = config.n_heads
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)

    def forward(self, x, attention_mask=None, cache=None, layer=0):
        b, t, c = x.shape
        heads = self.qkv(x).reshape(b, t, 3 * self.n_heads, -1).transpose(1, 2)
        q, k, v = heads.split(self.n_heads, dim=1)
        if cache is not None:
            k, v = cache.update(layer, k, v)
        s = k.size(2)
        bias = torch.full((s, s), -math.inf, dtype=q.dtype, device=x.device).triu_(1)[s - t :]
        if attention_mask is not None:
            padding = torch.zeros(b, 1, 1, s, dtype=q.dtype, device=x.device).masked_fill_(
                ~attention_mask[:, None, None], -math.inf
            )
            bias = (bias + padding).contiguous()
            bias.diagonal(s - t, -2, -1).zero_()  # itself
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(mixed.transpose(1, 2).reshape(b, t, c))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        d_ff = 4 * config.d_model if config.d_ff is None else config.d_ff
        self.up = nn.Linear(config.d_model, d_ff, bias=config.bias)
        self.gate = nn.Linear(config.d_model, d_ff, bias=config.bias) if config.activation == "swiglu" else None
        self.down = nn.Linear(d_ff, config.d_model, bias=config.bias)
        self.act = nn.GELU(approximate="tanh") if self.gate is None else nn.SiLU()

    def forward(self, x):
        return self.down(self.act(self.up(x)) if self.gate is None else self.act(self.gate(x)) * self.up(x))


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
        for norm, branch in (
            (self.norm_1, lambda h: self.attention(h, attention_mask, cache, layer)),
            (self.norm_2, self.mlp),
        ):
            x = torch.add(x, self.dropout(branch(norm(x))))
        return x


class GPT(nn.Module):
    def __init__(self, config, generator=None):
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = nn.Embedding(config.context_length, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([TransformerBlock(config) for _ in range(config.n_layers)])
        self.norm = _norm(config)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if p.dim() == 2:
                    p.normal_(0.0, 0.02, generator=generator)
                elif name.endswith("bias"):
                    p.zero_()

    def forward(self, input_ids, *, cache=None, position_ids=None, attention_mask=None):
        t = input_ids.size(1)
        start = getattr(cache, "length", 0)
        if start + t > self.config.context_length:
            raise ValueError(f"{start} + {t} > {self.config.context_length}")
        where = self.position.weight[start : start + t] if position_ids is None else self.position(position_ids)
        h = self.dropout(self.token(input_ids) + where)
        for layer, block in enumerate(self.blocks):
            h = block(h, attention_mask, cache, layer)
        return torch.einsum("btc,vc->btv", self.norm(h), self.token.weight)


class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            by_count = {}
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state["count"], state["m"], state["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                    state["count"] += 1
                    by_count.setdefault(state["count"], []).append(p)
            for n, params in by_count.items():
                grads = [p.grad for p in params]
                m, v = [self.state[p]["m"] for p in params], [self.state[p]["v"] for p in params]
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_mul_(m, b1)
                torch._foreach_add_(m, grads, alpha=1 - b1)
                torch._foreach_mul_(v, b2)
                torch._foreach_addcmul_(v, grads, grads, 1 - b2)
                roots = torch._foreach_sqrt(v)
                torch._foreach_div_(roots, math.sqrt(1 - b2**n))
                torch._foreach_add_(roots, group["eps"])
                torch._foreach_addcdiv_(params, m, roots, -group["lr"] / (1 - b1**n))


def cosine_schedule(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if warmup_steps and step < warmup_steps:
        return max_lr * (step / warmup_steps)
    span = total_steps - warmup_steps
    u = 1.0 if span == 0 else min((step - warmup_steps) / span, 1.0)
    return 0.5 * ((max_lr + min_lr) + (max_lr - min_lr) * math.cos(u * math.pi))


def clip_grad_norm(parameters, max_norm):
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.cat([g.flatten() for g in grads] or [torch.zeros(1)]).norm()
    factor = torch.where(norm + 1e-6 > max_norm, max_norm / (norm + 1e-6), 1.0)
    if grads:
        torch._foreach_mul_(grads, factor)
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
    generator = generator or torch.default_generator
    first, last = 0, until if until is not None else config.steps
    named = dict(model.named_parameters())
    decayed = {name for name, p in named.items() if p.ndim >= 2}
    optimizer = AdamW(
        [
            {"params": [named[n] for n in sorted(decayed)], "weight_decay": config.weight_decay},
            {"params": [named[n] for n in sorted(set(named) - decayed)], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=config.betas,
    )
    if checkpoint:
        saved = deepcopy(checkpoint)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        generator.set_state(saved["generator"])
    was = model.training
    model.train(True)
    losses = torch.empty(max(last - first, 0), device=model.token.weight.device)
    for i in range(len(losses)):
        for group in optimizer.param_groups:
            group["lr"] = cosine_schedule(
                first + i + 1, max_lr=config.learning_rate, min_lr=config.min_learning_rate,
                warmup_steps=config.warmup_steps, total_steps=config.steps,
            )  # fmt: skip
        inputs, targets = get_batch(data, config.batch_size, model.config.context_length, generator, losses.device)
        loss = lm_loss(model(inputs), targets)
        grads = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
        for p, g in zip(named.values(), grads):
            p.grad = g
        clip_grad_norm(iter(named.values()), config.max_norm)
        optimizer.step()
        losses[i].copy_(loss.detach())
    model.train(was)
    return losses, {
        "step": first + len(losses),
        "model": {name: w.clone() for name, w in model.state_dict().items()},
        "optimizer": deepcopy(optimizer.state_dict()),
        "generator": generator.get_state().clone(),
    }


def apply_temperature(logits, temperature):
    if temperature < 0.0:
        raise ValueError(temperature)
    if temperature == 0.0:
        return F.one_hot(logits.argmax(-1), logits.size(-1)).to(logits.dtype).log()
    return logits.div(temperature)


def top_k_filter(logits, k):
    if k <= 0:
        raise ValueError(k)
    values, places = logits.topk(min(k, logits.size(-1)), dim=-1)
    return logits.new_full(logits.shape, -math.inf).scatter_(-1, places, values)


def top_p_filter(logits, p, min_tokens_to_keep=1):
    if p >= 1.0:
        return logits
    ordered, places = logits.sort(dim=-1)  # upwards, as some libraries do it
    wide = ordered.double() if ordered.dtype == torch.float64 else ordered.float()
    mass_below = wide.softmax(-1).cumsum(-1)
    remove = mass_below <= 1.0 - p
    remove[..., -min_tokens_to_keep:] = False
    return logits.masked_fill(remove.gather(-1, places.argsort(-1)), -math.inf)


def _race(probabilities, generator):
    """The id whose exponential clock of rate p rings first."""
    clocks = torch.empty(probabilities.shape, dtype=torch.float64).exponential_(generator=generator)
    return (probabilities.double() / clocks).argmax(-1)


def sample_next(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    logits = apply_temperature(logits.double(), temperature)
    for value, keep in ((top_k, top_k_filter), (top_p, top_p_filter)):
        logits = logits if value is None else keep(logits, value)
    return _race(logits.softmax(-1), generator)


def new_cache(model, batch_size, max_len):
    c, w = model.config, model.token.weight
    return KVCache(c.n_layers, batch_size, c.n_heads, max_len, c.d_model // c.n_heads, dtype=w.dtype, device=w.device)


@torch.inference_mode()
def generate(
    model, input_ids, max_new_tokens, *, eos_id=None, pad_id=None, use_cache=True, attention_mask=None, **sampling
):
    training = model.training
    model.eval()
    b, t = input_ids.shape
    context = model.config.context_length
    filler = (eos_id if eos_id is not None else 0) if pad_id is None else pad_id
    ids = torch.full((b, t + max_new_tokens), filler, dtype=torch.int64, device=input_ids.device)
    ids[:, :t] = input_ids
    padding = torch.zeros(b, 1, dtype=torch.int64) if attention_mask is None else (~attention_mask).sum(1, keepdim=True)

    def look(low, high, cache=None, held=0):
        more = {}
        if attention_mask is not None:
            columns = torch.arange(low, high)[None]
            gone = (padding - low).clamp(min=0)  # padding that is still in the window
            more = {"attention_mask": columns >= padding, "position_ids": (columns - low - gone).clamp(min=0)[:, held:]}
        if cache is not None:
            more["cache"] = cache
        return model(ids[:, low + held : high], **more)[:, -1]

    going = torch.ones(b, dtype=torch.bool)
    cache = None
    end = t
    while end < t + max_new_tokens and bool(going.any()):
        if not use_cache:
            logits = look(max(end - context, 0), end)
        elif end > context or cache is None:  # the window has moved, or nothing was read yet
            cache = new_cache(model, b, context)
            logits = look(max(end - context, 0), end, cache)
        else:
            logits = look(0, end, cache, cache.length)
        token = sample_next(logits, **sampling)
        ids[going, end] = token[going]
        if eos_id is not None:
            going &= token != eos_id
        end += 1
    model.train(training)
    return ids[:, :end].clone()


def generate_batch(model, prompts, max_new_tokens, *, pad_id, eos_id=None, **sampling):
    lengths = torch.tensor([len(p) for p in prompts])
    width = int(lengths.max())
    ids = torch.full((len(prompts), width), pad_id)
    for row, prompt in zip(ids, prompts):
        row[width - len(prompt) :] = torch.tensor(prompt)
    real = torch.arange(width)[None] >= (width - lengths)[:, None]
    stop = -1 if eos_id is None else eos_id
    new = generate(
        model, ids, max_new_tokens, eos_id=eos_id, pad_id=pad_id, attention_mask=real, **sampling
    )[:, width:]  # fmt: skip
    rows = []
    for row in new.tolist():
        rows.append(row[: row.index(stop) + 1] if stop in row else row)
    return rows


@torch.no_grad()
def beam_search(model, input_ids, beam_width, max_new_tokens, length_penalty=0.0, eos_id=None):
    finished, alive, sums = [], input_ids.new_zeros((1, 0)), torch.zeros(1, dtype=torch.float64)
    for n in range(1, max_new_tokens + 1):
        if not len(alive):
            break
        texts = torch.cat((input_ids.repeat(len(alive), 1), alive), 1)[:, -model.config.context_length :]
        totals = sums[:, None] + F.log_softmax(model(texts)[:, -1].double(), -1)
        flat = totals.flatten()
        scores, places = (flat / n**length_penalty).sort(descending=True)
        # Finished ones of before compete with continuations, by score.
        pool = [(score, tokens, None, True) for tokens, score in finished]
        for score, place in zip(scores.tolist()[:beam_width], places.tolist()[:beam_width]):
            if score > -math.inf:
                row, token = divmod(place, totals.shape[1])
                pool.append((score, [*alive[row].tolist(), token], float(flat[place]), token == eos_id))
        pool = sorted(pool, key=lambda item: item[0], reverse=True)[:beam_width]
        finished = [(tokens, score) for score, tokens, _, ended in pool if ended]
        going = [(tokens, total, score) for score, tokens, total, ended in pool if not ended]
        alive = torch.tensor([tokens for tokens, _, _ in going]).view(len(going), n)
        sums = torch.tensor([total for _, total, _ in going], dtype=torch.float64)
        found = finished + [(tokens, score) for tokens, _, score in going]
    return sorted(found, key=lambda item: item[1], reverse=True)


@torch.no_grad()
def speculative_sample(
    target, draft, input_ids, n_draft, generator=None, *, temperature=1.0, target_cache=None, draft_cache=None
):  # fmt: skip
    def ask(model, ids, cache):
        if cache is None:
            return model(ids)
        if len(ids) != 1:
            raise ValueError("a cache is for one row")
        return model(ids[:, cache.length :], cache=cache)

    t = input_ids.size(1)
    ids, log_q = input_ids, []
    for _ in range(n_draft):
        log_q.append(apply_temperature(ask(draft, ids, draft_cache)[:, -1].double(), temperature).log_softmax(-1))
        ids = torch.cat((ids, _race(log_q[-1].exp(), generator)[:, None]), 1)
    log_q = torch.stack(log_q, 1)
    log_p = apply_temperature(ask(target, ids, target_cache)[:, -n_draft - 1 :].double(), temperature).log_softmax(-1)
    proposed = ids[:, t:, None]
    ratio = (log_p[:, :-1].gather(2, proposed) - log_q.gather(2, proposed)).squeeze(2).exp()
    refused = torch.rand(ratio.shape, generator=generator, dtype=torch.float64) >= ratio
    # The first refusal; n_draft where there is none.
    kept = torch.cat((refused, torch.ones_like(refused[:, :1])), 1).int().argmax(1)
    candidates = []  # a replacement for every place, of which one is used
    for i in range(n_draft + 1):
        rest = log_p[:, i].exp() - (log_q[:, i].exp() if i < n_draft else 0.0)
        candidates.append(_race(rest.clamp(min=0) + 1e-300, generator))
    out = torch.cat((ids[:, t:], candidates[-1][:, None]), 1)
    out.scatter_(1, kept[:, None], torch.stack(candidates, 1).gather(1, kept[:, None]))
    out[torch.arange(n_draft + 1)[None] > kept[:, None]] = -100
    for cache in (target_cache, draft_cache):
        if cache is not None:
            cache.truncate(min(cache.length, t + int(kept[0])))
    return out, kept + 1
