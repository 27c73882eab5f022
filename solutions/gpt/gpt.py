"""A GPT, whole: batches, loss, transformer, optimiser, training, sampling, a KV cache, and better ways to decode.

Build in the order of the file, but leave KVCache until the model works without one. The handout (README.md) has the
maths. B is the batch size, T a number of tokens, P a number of tokens in a cache, V the vocabulary, C = d_model, H =
n_heads, D = C / H. Functions work on the device of their inputs, and in their dtype unless they say otherwise, and
change no argument unless that is what they are for. Masks are boolean: True = may attend, is real. Logarithms are
natural. torch's own functions may be used, also F.scaled_dot_product_attention (you wrote one in `attention`), but not
its AdamW, its schedulers and clip_grad_norm_.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

# --- text as tensors --------------------------------------------------------------------------------------------------


def chunk_tokens(ids: Int[Tensor, " n"], context_length: int) -> tuple[Int[Tensor, "m t"], Int[Tensor, "m t"]]:
    """Cut a stream into windows that do not overlap: inputs x and targets y, where y is x one token later.

    Window i holds the inputs ids[i*T : (i+1)*T] and the targets ids[i*T + 1 : (i+1)*T + 1], with T = context_length. So
    each token but the first is a target once, up to the last whole window; there are M = (N - 1) // T windows.

    chunk_tokens([0, 1, 2, 3, 4, 5], 2) -> ([[0, 1], [2, 3]], [[1, 2], [3, 4]])
    """
    ### BEGIN SOLUTION
    length = (len(ids) - 1) // context_length * context_length
    return ids[:length].view(-1, context_length), ids[1 : length + 1].view(-1, context_length)
    ### END SOLUTION


def get_batch(
    data: Int[Tensor, " n"] | np.ndarray,
    batch_size: int,
    context_length: int,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]:
    """Draw windows of a stream: inputs and targets as in `chunk_tokens`, at starts drawn independently and uniformly.

    `data` is a tensor or an array of any integer dtype, a read-only np.memmap of uint16 say; what comes back is int64,
    on `device`. Every window that fits can be drawn: starts are 0, ..., N - context_length - 1, and N = context_length
    + 1 leaves one. The generator may live on another device than the data.

    get_batch([5, 6, 7], 1, 2) -> ([[5, 6]], [[6, 7]])
    """
    ### BEGIN SOLUTION
    where = "cpu" if generator is None else generator.device
    starts = torch.randint(len(data) - context_length, (batch_size, 1), generator=generator, device=where)
    index = starts + torch.arange(context_length + 1, device=where)  # (B, T + 1)
    if isinstance(data, np.ndarray):
        windows = torch.from_numpy(data[index.cpu().numpy()].astype(np.int64))
    else:
        windows = data[index.to(data.device, non_blocking=True)].long()
    windows = windows.to(device, non_blocking=True)  # a blocking copy would make the host wait for the device
    return windows[:, :-1], windows[:, 1:]
    ### END SOLUTION


# --- what a model is measured by --------------------------------------------------------------------------------------


def lm_loss(logits: Float[Tensor, "b t v"], targets: Int[Tensor, "b t"], ignore_index: int = -100) -> Float[Tensor, ""]:
    """Return the mean of -ln p(target) over all targets that are not `ignore_index`, in nats.

    Logits at position t are for targets[:, t]: the shift is made where batches are made, not here. Targets that are
    ignored count neither in the sum nor in the mean. With none left the loss is 0 and so is its gradient (torch's own
    is NaN). Logits of half precision are computed and returned in float32.

    logits of zeros -> ln V;  lm_loss([[[0, ln 3], [5, 5]]], [[1, -100]]) -> ln(4/3)
    """
    ### BEGIN SOLUTION
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    total = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="sum")
    return total / (targets != ignore_index).sum().clamp(min=1)
    ### END SOLUTION


def perplexity(total_nll: float, n_tokens: int) -> float:
    """Return exp(total_nll / n_tokens): the size of the vocabulary that would be as hard to guess uniformly.

    `total_nll` is a SUM of -ln p in nats, so that sums of batches can be added up first. ValueError where n_tokens < 1.

    perplexity(3 * ln 7, 3) -> 7.0
    """
    ### BEGIN SOLUTION
    if n_tokens < 1:
        raise ValueError(f"a perplexity is of at least one token, not of {n_tokens}")
    return math.exp(total_nll / n_tokens)
    ### END SOLUTION


def bits_per_byte(total_nll: float, n_bytes: int) -> float:
    """Return total_nll / (n_bytes ln 2): bits that the model needs for one byte of the text, whatever its tokens are.

    `total_nll` is a sum in nats; `n_bytes` is the length of the text in UTF-8. ValueError where n_bytes < 1.

    bits_per_byte(8 * ln 2, 4) -> 2.0
    """
    ### BEGIN SOLUTION
    if n_bytes < 1:
        raise ValueError(f"a text of {n_bytes} bytes has no bits per byte")
    return total_nll / (n_bytes * math.log(2))
    ### END SOLUTION


# --- the model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GPTConfig:
    """What a GPT is built from. `norm` and `activation` choose GPT-2's block or the one of Llama."""

    vocab_size: int
    context_length: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int | None = None  # width of the feed-forward network; None = 4 * d_model
    dropout: float = 0.0
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    activation: Literal["gelu", "swiglu"] = "gelu"
    bias: bool = True  # of the linear layers


PRESETS = {  # Radford et al. 2019, table 2
    "gpt2": GPTConfig(50257, 1024, 768, 12, 12),
    "gpt2-medium": GPTConfig(50257, 1024, 1024, 16, 24),
    "gpt2-large": GPTConfig(50257, 1024, 1280, 20, 36),
    "gpt2-xl": GPTConfig(50257, 1024, 1600, 25, 48),
}


class KVCache:
    """Keys and values of the tokens that a model has already seen, in memory that is allocated once.

    `length` is the number of tokens in it. All rows have the same length. A model calls `update` once a layer, in
    order.

    cache = KVCache(n_layers=1, batch_size=1, n_heads=2, max_len=8, d_head=4); cache.length -> 0
    """

    def __init__(
        self,
        n_layers: int,
        batch_size: int,
        n_heads: int,
        max_len: int,
        d_head: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        shape = (n_layers, batch_size, n_heads, max_len, d_head)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.length = 0

    def update(
        self, layer: int, k: Float[Tensor, "b h t d"], v: Float[Tensor, "b h t d"]
    ) -> tuple[Float[Tensor, "b h p+t d"], Float[Tensor, "b h p+t d"]]:
        """Write keys and values of T new tokens behind those that are there; return all of this layer's, P + T of them.

        T is any number: a whole prompt, a piece of it, one token. What comes back holds written entries only, never the
        rest of the memory: a key of zeros would get weight too. `length` grows by T when the LAST layer is updated, so
        every layer of one forward pass writes to the same place. ValueError where the tokens do not fit.
        """
        ### BEGIN SOLUTION
        end = self.length + k.shape[2]
        if end > self.keys.shape[3]:
            raise ValueError(f"{end} tokens do not fit in a cache of {self.keys.shape[3]}")
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        if layer == len(self.keys) - 1:
            self.length = end
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]
        ### END SOLUTION

    def truncate(self, length: int) -> None:
        """Keep the first `length` tokens and forget the later ones. ValueError where it holds fewer.

        cache.length is 5; cache.truncate(3); cache.length -> 3, and the next `update` writes at position 3
        """
        ### BEGIN SOLUTION
        if not 0 <= length <= self.length:
            raise ValueError(f"a cache of {self.length} tokens cannot be cut to {length}")
        self.length = length
        ### END SOLUTION

    def reset(self) -> None:
        """Forget every token, so that another text can begin."""
        ### BEGIN SOLUTION
        self.length = 0
        ### END SOLUTION


class SelfAttention(nn.Module):
    """Causal multi-head self-attention with one projection to queries, keys and values.

    `qkv` is a linear map of C to 3 C: its output is [q, k, v] side by side, and head h of each is channels h*D to
    (h+1)*D.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        if config.d_model % config.n_heads:
            raise ValueError(f"d_model={config.d_model} is not a multiple of n_heads={config.n_heads}")
        self.n_heads = config.n_heads
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)

    def forward(
        self,
        x: Float[Tensor, "b t c"],
        attention_mask: Bool[Tensor, "b p+t"] | None = None,
        cache: KVCache | None = None,
        layer: int = 0,
    ) -> Float[Tensor, "b t c"]:
        """Attend to the tokens of `cache` and to those of `x` that are not later; scores are scaled by 1 / sqrt(D).

        With P tokens in the cache (`cache.update(layer, k, v)` adds these), query i is token P + i of the text and sees
        keys 0 to P + i: the causal mask is aligned at the bottom right. `attention_mask` is True where a token (cached
        or new) is real: nobody attends to the others, except that a token always sees itself, so that no row is empty.
        """
        ### BEGIN SOLUTION
        t = x.shape[1]
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # (B, T, C) each
        q, k, v = (y.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for y in (q, k, v))  # (B, H, T, D)
        if cache is not None:
            k, v = cache.update(layer, k, v)  # (B, H, P + T, D)
        past = k.shape[2] - t
        mask = None
        if attention_mask is not None or (past and t > 1):  # without padding, one query alone sees every key
            mask = torch.ones(t, past + t, dtype=torch.bool, device=x.device).tril(past)
            if attention_mask is not None:
                itself = torch.ones_like(mask).tril(past).triu(past)
                mask = mask & (attention_mask[:, None, None, :] | itself)  # (B, 1, T, P + T)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and t > 1)
        return self.out(y.transpose(1, 2).flatten(2))
        ### END SOLUTION


class FeedForward(nn.Module):
    """The network that each token goes through alone: `up` (C to d_ff), `down` (d_ff to C), and `gate` for SwiGLU."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        d_ff = 4 * config.d_model if config.d_ff is None else config.d_ff
        self.up = nn.Linear(config.d_model, d_ff, bias=config.bias)
        self.gate = nn.Linear(config.d_model, d_ff, bias=config.bias) if config.activation == "swiglu" else None
        self.down = nn.Linear(d_ff, config.d_model, bias=config.bias)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """Return down(gelu(up(x))), or down(silu(gate(x)) * up(x)) where there is a gate (Shazeer 2020, equation 6).

        GELU is GPT-2's approximation by tanh (Hendrycks and Gimpel 2016, section 2), not the exact one.
        """
        ### BEGIN SOLUTION
        hidden = self.up(x)
        hidden = F.gelu(hidden, approximate="tanh") if self.gate is None else F.silu(self.gate(x)) * hidden
        return self.down(hidden)
        ### END SOLUTION


def _norm(config: GPTConfig) -> nn.Module:
    return nn.LayerNorm(config.d_model) if config.norm == "layernorm" else nn.RMSNorm(config.d_model, eps=1e-5)


class TransformerBlock(nn.Module):
    """A pre-norm block (Xiong et al. 2020, figure 1b): `norm_1`, `attention`, `norm_2`, `mlp`, and two residuals."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.norm_1 = _norm(config)
        self.attention = SelfAttention(config)
        self.norm_2 = _norm(config)
        self.mlp = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "b t c"],
        attention_mask: Bool[Tensor, "b p+t"] | None = None,
        cache: KVCache | None = None,
        layer: int = 0,
    ) -> Float[Tensor, "b t c"]:
        """Return y + mlp(norm_2(y)), where y = x + attention(norm_1(x)).

        Norms stand before what they feed, never on the residual stream. Dropout falls on what a branch adds.
        """
        ### BEGIN SOLUTION
        x = x + self.dropout(self.attention(self.norm_1(x), attention_mask, cache, layer))
        return x + self.dropout(self.mlp(self.norm_2(x)))
        ### END SOLUTION


class GPT(nn.Module):
    """A decoder: `token` and `position` embeddings, `blocks`, a last `norm`; the head is the token embedding again.

    Weights begin as GPT-2's (Radford et al. 2019, section 2.3): normal with deviation 0.02, divided by sqrt(2 n_layers)
    for the layers that write to the residual stream; biases are zero.
    """

    def __init__(self, config: GPTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = nn.Embedding(config.context_length, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.n_layers))
        self.norm = _norm(config)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                last = name.endswith(("out.weight", "down.weight"))
                std = 0.02 / math.sqrt(2 * config.n_layers) if last else 0.02
                nn.init.normal_(parameter, std=std, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(
        self,
        input_ids: Int[Tensor, "b t"],
        *,
        cache: KVCache | None = None,
        position_ids: Int[Tensor, "b t"] | None = None,
        attention_mask: Bool[Tensor, "b p+t"] | None = None,
    ) -> Float[Tensor, "b t v"]:
        """Return the logits: those at position t are for token t + 1.

        token(ids) + position(positions), dropout, the blocks, the last norm, and the head: logits = x token.weight^T
        (tied, without a bias). `position_ids` defaults to P, ..., P + T - 1, where P tokens are in the cache (0
        without). `attention_mask` covers cached and new tokens; True = real. ValueError where P + T > context_length.

        Any split of a text gives the same logits: model(ids) is model(ids[:, :3], cache=c) and then model(ids[:, 3:],
        cache=c).
        """
        ### BEGIN SOLUTION
        past, t = 0 if cache is None else cache.length, input_ids.shape[1]
        if past + t > self.config.context_length:
            raise ValueError(f"{past + t} tokens do not fit in a context of {self.config.context_length}")
        if position_ids is None:
            position_ids = torch.arange(past, past + t, device=input_ids.device)
        x = self.dropout(self.token(input_ids) + self.position(position_ids))  # (B, T, C)
        for layer, block in enumerate(self.blocks):
            x = block(x, attention_mask, cache, layer)
        return F.linear(self.norm(x), self.token.weight)  # (B, T, V)
        ### END SOLUTION


# --- training ---------------------------------------------------------------------------------------------------------


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2).

    `params` is an iterable of parameters, or of groups: dicts with "params" and their own values of the other
    arguments. The options of a group are read at each step, so a schedule may set group["lr"].
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Update every parameter that has a gradient; one whose `grad` is None is left alone, decay included.

        At the n-th update of a parameter p with gradient g (n counts from 1 for each parameter):

            p <- p - lr weight_decay p
            m <- beta_1 m + (1 - beta_1) g,  v <- beta_2 v + (1 - beta_2) g^2        (both begin as zeros)
            p <- p - lr m^ / (sqrt(v^) + eps),  m^ = m / (1 - beta_1^n),  v^ = v / (1 - beta_2^n)

        This is torch.optim.AdamW's. Keep m, v and n in self.state[p]: then state_dict() and load_state_dict() carry
        them. A first step with weight_decay 0 moves each entry by about lr, against the sign of its gradient.
        """
        ### BEGIN SOLUTION
        for group in self.param_groups:
            lr, (beta_1, beta_2) = group["lr"], group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
                state["step"] += 1  # a number, not a tensor: nothing here waits for the device
                m, v, n = state["exp_avg"], state["exp_avg_sq"], state["step"]
                p.mul_(1 - lr * group["weight_decay"])
                m.lerp_(p.grad, 1 - beta_1)
                v.mul_(beta_2).addcmul_(p.grad, p.grad, value=1 - beta_2)
                denominator = (v / (1 - beta_2**n)).sqrt_().add_(group["eps"])
                p.addcdiv_(m, denominator, value=-lr / (1 - beta_1**n))
        ### END SOLUTION


def cosine_schedule(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine, then `min_lr` for ever.

    step < warmup_steps: max_lr * step / warmup_steps. Up to total_steps: from max_lr at warmup_steps down to min_lr at
    total_steps, along min_lr + (max_lr - min_lr) (1 + cos(pi u)) / 2, where u is the fraction of the way (Loshchilov
    and Hutter 2017, equation 5). At total_steps and later: min_lr, also where the warm-up ends there. `warmup_steps` is
    at most total_steps; where it is 0, and total_steps is not, step 0 has max_lr.

    With max_lr 1, min_lr 0, warmup_steps 2, total_steps 6, steps 0, 1, 2, 4, 6, 9 -> 0, .5, 1, .5, 0, 0
    """
    ### BEGIN SOLUTION
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step >= total_steps:
        return min_lr
    fraction = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * fraction)) / 2
    ### END SOLUTION


def clip_grad_norm(parameters: Iterable[nn.Parameter], max_norm: float) -> Float[Tensor, ""]:
    """Scale all gradients, in place, so that their joint L2 norm is at most `max_norm`; return the norm before.

    Every gradient is multiplied by min(1, max_norm / (norm + 1e-6)), where the norm is that of all gradients as one
    long vector: gradients never grow. Parameters whose `grad` is None do not count; without any the norm is 0.
    `parameters` may be an iterator that can be read once, such as model.parameters(). The norm stays a tensor on the
    device: .item() waits.

    gradients [3.] and [4.], max_norm 1 -> returns 5., leaves [0.6] and [0.8]
    """
    ### BEGIN SOLUTION
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.tensor(0.0)
    norm = torch.stack([torch.linalg.vector_norm(g) for g in gradients]).norm()
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for g in gradients:
        g.mul_(scale)
    return norm
    ### END SOLUTION


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. Decay, betas and gradient norm by default are GPT-3's (Brown et al. 2020, appendix B)."""

    steps: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    min_learning_rate: float = 1e-4
    warmup_steps: int = 0
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    max_norm: float = 1.0  # of the gradient


def train(
    model: GPT,
    data: Int[Tensor, " n"] | np.ndarray,
    config: TrainConfig,
    *,
    generator: torch.Generator | None = None,
    checkpoint: dict[str, Any] | None = None,
    until: int | None = None,
) -> tuple[Float[Tensor, " n_steps"], dict[str, Any]]:
    """Train `model` in place on a stream of tokens; return the loss of each step and a checkpoint.

    Step n (the first is n = 1) draws a batch by `get_batch`, takes the gradient of `lm_loss`, clips it to
    `config.max_norm`, and makes one AdamW update with the learning rate cosine_schedule(n), which runs over
    config.steps. Weight decay is for parameters of two or more dimensions only; biases and norms have none. The loss
    of a step is that of its batch before the update.

    It ends after step `until` (default config.steps). The checkpoint is a dict of plain values and tensors under the
    keys "step", "model", "optimizer" and "generator", which nothing changes later; torch.save and torch.load keep it.
    Given back as `checkpoint`, with any model of the same shape, training goes on as if it had never stopped: the same
    batches, losses and weights (the state of `generator` is set; with dropout also torch's own stream would have to
    be). All chance comes from `generator` (None = torch's own), the model is in training mode meanwhile and gets its
    mode back, and nothing in a step waits for the device: losses are collected there and returned as one tensor.

    train(model, data, TrainConfig(steps=9), until=4) -> 4 losses, and a checkpoint whose "step" is 4
    """
    ### BEGIN SOLUTION
    generator = torch.default_generator if generator is None else generator
    weight = model.token.weight
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, betas=config.betas)
    first = 0
    if checkpoint is not None:
        first = checkpoint["step"]
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(_copy(checkpoint["optimizer"]))
        generator.set_state(checkpoint["generator"])
    last = config.steps if until is None else until
    loss_dtype = torch.promote_types(weight.dtype, torch.float32)
    losses = torch.zeros(max(last - first, 0), dtype=loss_dtype, device=weight.device)
    was_training = model.training
    model.train()
    for step in range(first + 1, last + 1):
        x, y = get_batch(data, config.batch_size, model.config.context_length, generator, weight.device)
        loss = lm_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm(model.parameters(), config.max_norm)
        lr = cosine_schedule(
            step,
            max_lr=config.learning_rate,
            min_lr=config.min_learning_rate,
            warmup_steps=config.warmup_steps,
            total_steps=config.steps,
        )
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        losses[step - first - 1] = loss.detach()
    model.train(was_training)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return losses, {"step": max(first, last), **_copy(state), "generator": generator.get_state()}
    ### END SOLUTION


def _copy(value: Any) -> Any:
    """The same dicts and lists, with a clone of every tensor in them. (Given.)"""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


# --- from logits to a token -------------------------------------------------------------------------------------------


def apply_temperature(logits: Float[Tensor, "*b v"], temperature: float) -> Float[Tensor, "*b v"]:
    """Return logits / temperature. Temperature 0 is greedy: 0 at the largest logit of each row (the first, where
    several are), -inf elsewhere. ValueError where it is negative.

    apply_temperature([1, 3], 0.5) -> [2, 6];  apply_temperature([1, 3], 0) -> [-inf, 0]
    """
    ### BEGIN SOLUTION
    if temperature < 0:
        raise ValueError(f"a temperature is not negative: {temperature}")
    if temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, -math.inf).scatter(-1, best, 0.0)
    return logits / temperature
    ### END SOLUTION


def top_k_filter(logits: Float[Tensor, "*b v"], k: int) -> Float[Tensor, "*b v"]:
    """Keep the k largest logits of each row and set the others to -inf (Fan et al. 2018).

    Kept logits do not change. k >= V keeps all. Where several tie for the last place, any or all of them may stay.
    ValueError where k < 1.

    top_k_filter([1, 3, 2], 2) -> [-inf, 3, 2]
    """
    ### BEGIN SOLUTION
    if k < 1:
        raise ValueError(f"at least one token is kept, not {k}")
    smallest = logits.topk(min(k, logits.shape[-1])).values[..., -1:]  # (..., 1): each row has its own
    return logits.masked_fill(logits < smallest, -math.inf)
    ### END SOLUTION


def top_p_filter(logits: Float[Tensor, "*b v"], p: float, min_tokens_to_keep: int = 1) -> Float[Tensor, "*b v"]:
    """Keep the nucleus of each row and set the others to -inf (Holtzman et al. 2020, section 3.1).

    The nucleus is the SMALLEST set of most probable tokens whose probabilities sum to p or more: the token that
    crosses p belongs to it. It has at least `min_tokens_to_keep` tokens, also at p = 0. p >= 1 changes nothing. Kept
    logits do not change. Where several tie for the last place, any of them may stay.

    probabilities (.5, .3, .2): p = .5 keeps 1 token, p = .6 keeps 2, p = .8 keeps 2, p = .9 keeps 3
    """
    ### BEGIN SOLUTION
    if p >= 1:
        return logits
    order = logits.argsort(dim=-1, descending=True)
    probabilities = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1).gather(-1, order)
    drop = probabilities.cumsum(-1) - probabilities >= p  # enough mass stands before this token already
    drop[..., :min_tokens_to_keep] = False
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), -math.inf)  # back in the order of ids
    ### END SOLUTION


def sample_next(
    logits: Float[Tensor, "b v"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " b"]:
    """Draw one token for each row, independently: temperature first, then top-k, then top-p on what top-k left.

    None leaves a filter out. Temperature 0 gives the argmax of each row. int64.

    sample_next([[0, 9], [9, 0]], temperature=0) -> [1, 0]
    """
    ### BEGIN SOLUTION
    logits = apply_temperature(logits.to(torch.promote_types(logits.dtype, torch.float32)), temperature)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(-1)
    ### END SOLUTION


# --- from a prompt to a text ------------------------------------------------------------------------------------------


def new_cache(model: GPT, batch_size: int, max_len: int) -> KVCache:
    """An empty cache for this model, on its device and in its dtype. (Given.)"""
    c, weight = model.config, model.token.weight
    return KVCache(
        c.n_layers, batch_size, c.n_heads, max_len, c.d_model // c.n_heads, dtype=weight.dtype, device=weight.device
    )


@torch.no_grad()
def generate(
    model: GPT,
    input_ids: Int[Tensor, "b t"],
    max_new_tokens: int,
    *,
    eos_id: int | None = None,
    pad_id: int | None = None,
    use_cache: bool = True,
    attention_mask: Bool[Tensor, "b t"] | None = None,
    **sampling: Any,
) -> Int[Tensor, "b t+n"]:
    """Continue each row by up to `max_new_tokens` tokens; return prompts and continuations together.

    `sampling` goes to `sample_next`. A row that has drawn `eos_id` is finished: it keeps that token, and `pad_id`
    (default eos_id) follows. It ends early, with fewer columns, when every row is finished. The model is in evaluation
    mode meanwhile and gets its mode back.

    The model sees at most its last `context_length` tokens. When a text has grown past that, its first tokens fall out
    of the window and all positions move, so a cache has to be filled again from the window. With `use_cache` the
    result is the same as without; without, the model is called as model(input_ids) alone where there is no mask.

    `attention_mask` is for prompts that are padded on the LEFT; False = padding. Tokens are then counted without it:
    position_ids = cumsum(mask) - 1 (0 for padding). New tokens are real.

    generate(model, [[5, 6]], 3, temperature=0) -> [[5, 6, a, b, c]]
    """
    ### BEGIN SOLUTION
    was_training = model.training
    model.eval()
    ids, real, context = input_ids, attention_mask, model.config.context_length
    finished = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    cache = new_cache(model, len(ids), min(ids.shape[1] + max_new_tokens, context)) if use_cache else None
    for _ in range(max_new_tokens):
        options: dict[str, Any] = {} if cache is None else {"cache": cache}
        if cache is not None and cache.length == context:
            cache.reset()
        window = ids[:, -context:]
        new = slice(0 if cache is None else cache.length, None)  # what the model has not seen yet
        if real is not None:
            mask = real[:, -context:]
            options |= {"attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)[:, new]}
        token = sample_next(model(window[:, new], **options)[:, -1], **sampling)  # (B,)
        if eos_id is not None:
            token = token.masked_fill(finished, eos_id if pad_id is None else pad_id)
            finished = finished | (token == eos_id)
        ids = torch.cat((ids, token[:, None]), dim=1)
        if real is not None:
            real = F.pad(real, (0, 1), value=True)
        if eos_id is not None and finished.all():
            break
    model.train(was_training)
    return ids
    ### END SOLUTION


def generate_batch(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    pad_id: int,
    eos_id: int | None = None,
    **sampling: Any,
) -> list[list[int]]:
    """Continue prompts of different lengths in one batch; return for each its NEW tokens, up to `eos_id` and with it.

    Pads on the left, so that the last column holds the last token of every prompt, and masks the padding by where it
    is, not by what it is: `pad_id` may also occur as a real token. Greedy, each row is what `generate` gives its
    prompt alone, whatever the other prompts are. `sampling` may also say use_cache=False.

    generate_batch(model, [[5], [7, 8, 9]], 2, pad_id=0, temperature=0) -> [[a, b], [c, d]]
    """
    ### BEGIN SOLUTION
    longest, device = max(map(len, prompts)), model.token.weight.device
    ids = torch.tensor([[pad_id] * (longest - len(p)) + list(p) for p in prompts], device=device)  # (B, T)
    real = torch.tensor([[False] * (longest - len(p)) + [True] * len(p) for p in prompts], device=device)
    out = generate(model, ids, max_new_tokens, eos_id=eos_id, pad_id=pad_id, attention_mask=real, **sampling)
    rows = out[:, longest:].tolist()
    return [row[: row.index(eos_id) + 1] if eos_id in row else row for row in rows]
    ### END SOLUTION


@torch.no_grad()
def beam_search(
    model: GPT,
    input_ids: Int[Tensor, "1 t"],
    beam_width: int,
    max_new_tokens: int,
    length_penalty: float = 0.0,
    eos_id: int | None = None,
) -> list[tuple[list[int], float]]:
    """Search for the most probable continuations; return up to `beam_width` of them as (new tokens, score), best first.

    The score of a continuation is the sum of ln p of its tokens, divided by n ** length_penalty, where n is their
    number (0 = no penalty). At each step every hypothesis of the beam that is not finished is continued by every
    token, and the `beam_width` best by score stay, of these and of the finished ones. A hypothesis is finished when it
    ends in `eos_id`, which counts in n and in the sum; it keeps its score. The search ends after `max_new_tokens`
    steps, or when all are finished. What has probability 0 never stays, so there may be fewer than `beam_width`. The
    model is called as model(input_ids) on whole texts, the last context_length tokens of them; its mode is left alone.

    beam_width 1 is greedy decoding; beam_width V ** max_new_tokens is exhaustive search.
    """
    ### BEGIN SOLUTION
    new = input_ids.new_empty((1, 0))  # (W, n): the hypotheses
    total = torch.zeros(1, dtype=torch.float64, device=input_ids.device)  # (W,)
    length = torch.zeros_like(total)
    finished = torch.zeros_like(total, dtype=torch.bool)
    for _ in range(max_new_tokens):
        text = torch.cat((input_ids.expand(len(new), -1), new), dim=1)[:, -model.config.context_length :]
        log_p = model(text)[:, -1].double().log_softmax(-1)  # (W, V)
        log_p[finished] = -math.inf
        log_p[finished, 0] = 0.0  # a finished one has a single continuation, which costs nothing
        length = length + ~finished
        totals = total[:, None] + log_p
        scores = (totals / length[:, None] ** length_penalty).flatten()  # (W * V,)
        best = scores.topk(min(beam_width, len(scores))).indices
        best = best[scores[best] > -math.inf]
        row, token = best // log_p.shape[1], best % log_p.shape[1]
        new = torch.cat((new[row], token[:, None]), dim=1)
        total, length, finished = totals.flatten()[best], length[row], finished[row]
        if eos_id is not None:
            finished = finished | (token == eos_id)
        if finished.all():
            break
    rows = [tokens[: int(n)] for tokens, n in zip(new.tolist(), length)]
    return list(zip(rows, (total / length.clamp(min=1) ** length_penalty).tolist()))
    ### END SOLUTION


@torch.no_grad()
def speculative_sample(
    target: GPT,
    draft: GPT,
    input_ids: Int[Tensor, "b t"],
    n_draft: int,
    generator: torch.Generator | None = None,
    *,
    temperature: float = 1.0,
    target_cache: KVCache | None = None,
    draft_cache: KVCache | None = None,
) -> tuple[Int[Tensor, "b n_draft+1"], Int[Tensor, " b"]]:
    """Draw 1 to n_draft + 1 tokens as `target` would, proposed by `draft` (Leviathan et al. 2023, algorithm 1).

    `draft` draws n_draft tokens one after the other; `target` is asked ONCE about all of them. With q and p the
    probabilities of draft and target (at this temperature), proposed token x is accepted with probability min(1, p(x)
    / q(x)). The first one rejected is replaced by a draw from max(p - q, 0), normalised, and those after it are
    dropped; if all are accepted, one more is drawn from p. Each row goes its own way. What comes out is distributed
    exactly as if `target` had drawn it token by token (Chen et al. 2023, theorem 1).

    Returns (tokens, n_new): row b has tokens[b, :n_new[b]], and -100 behind them. Without caches, the models are
    called as model(input_ids) alone.

    A cache holds the beginning of `input_ids`, at most all but its last token; the models are then fed the rest.
    Afterwards it holds all of `input_ids` and no token that was rejected: the beginning of the text with its new
    tokens, all but the last at most. Caches are for one row: ValueError where there are more.
    """
    ### BEGIN SOLUTION
    if len(input_ids) > 1 and not (target_cache is None and draft_cache is None):
        raise ValueError("rows accept different numbers of tokens: a cache serves one row")

    def probabilities(model: GPT, ids: Tensor, cache: KVCache | None, last: int) -> Tensor:
        logits = model(ids) if cache is None else model(ids[:, cache.length :], cache=cache)
        logits = logits[:, -last:].to(torch.promote_types(logits.dtype, torch.float32))
        return apply_temperature(logits, temperature).softmax(-1)  # (B, last, V)

    ids, proposals = input_ids, []
    for _ in range(n_draft):
        proposals.append(probabilities(draft, ids, draft_cache, 1))
        ids = torch.cat((ids, torch.multinomial(proposals[-1][:, 0], 1, generator=generator)), dim=1)
    p = probabilities(target, ids, target_cache, n_draft + 1)  # (B, n_draft + 1, V)
    q = torch.cat((*proposals, torch.zeros_like(p[:, :1])), dim=1)  # behind them nothing was proposed: p - 0 = p
    drafted = ids[:, -n_draft:]
    p_drafted, q_drafted = (probs[:, :-1].gather(2, drafted[..., None])[..., 0] for probs in (p, q))  # (B, n_draft)
    u = torch.rand(drafted.shape, generator=generator, device=p.device if generator is None else generator.device)
    accepted = u.to(p.device) * q_drafted < p_drafted
    n_accepted = accepted.long().cumprod(1).sum(1)  # (B,): up to the first rejection
    rows = torch.arange(len(ids), device=ids.device)
    residual = (p - q).clamp(min=0)[rows, n_accepted]  # (B, V)
    # Where p and q are equal up to rounding nothing may be left; any draw from p is right then.
    residual = torch.where(residual.sum(1, keepdim=True) > 0, residual, p[rows, n_accepted])
    tokens = F.pad(drafted, (0, 1))
    tokens[rows, n_accepted] = torch.multinomial(residual, 1, generator=generator)[:, 0]  # multinomial normalises
    columns = torch.arange(n_draft + 1, device=ids.device)
    for cache in (target_cache, draft_cache):
        if cache is not None:
            cache.truncate(min(cache.length, input_ids.shape[1] + int(n_accepted)))
    return tokens.masked_fill(columns > n_accepted[:, None], -100), n_accepted + 1
    ### END SOLUTION
