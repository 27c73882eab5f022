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
    raise NotImplementedError


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
    raise NotImplementedError


# --- what a model is measured by --------------------------------------------------------------------------------------


def lm_loss(logits: Float[Tensor, "b t v"], targets: Int[Tensor, "b t"], ignore_index: int = -100) -> Float[Tensor, ""]:
    """Return the mean of -ln p(target) over all targets that are not `ignore_index`, in nats.

    Logits at position t are for targets[:, t]: the shift is made where batches are made, not here. Targets that are
    ignored count neither in the sum nor in the mean. With none left the loss is 0 and so is its gradient (torch's own
    is NaN). Logits of half precision are computed and returned in float32.

    logits of zeros -> ln V;  lm_loss([[[0, ln 3], [5, 5]]], [[1, -100]]) -> ln(4/3)
    """
    raise NotImplementedError


def perplexity(total_nll: float, n_tokens: int) -> float:
    """Return exp(total_nll / n_tokens): the size of the vocabulary that would be as hard to guess uniformly.

    `total_nll` is a SUM of -ln p in nats, so that sums of batches can be added up first. ValueError where n_tokens < 1.

    perplexity(3 * ln 7, 3) -> 7.0
    """
    raise NotImplementedError


def bits_per_byte(total_nll: float, n_bytes: int) -> float:
    """Return total_nll / (n_bytes ln 2): bits that the model needs for one byte of the text, whatever its tokens are.

    `total_nll` is a sum in nats; `n_bytes` is the length of the text in UTF-8. ValueError where n_bytes < 1.

    bits_per_byte(8 * ln 2, 4) -> 2.0
    """
    raise NotImplementedError


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
        raise NotImplementedError

    def truncate(self, length: int) -> None:
        """Keep the first `length` tokens and forget the later ones. ValueError where it holds fewer.

        cache.length is 5; cache.truncate(3); cache.length -> 3, and the next `update` writes at position 3
        """
        raise NotImplementedError

    def reset(self) -> None:
        """Forget every token, so that another text can begin."""
        raise NotImplementedError


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
        raise NotImplementedError


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
        raise NotImplementedError


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
        raise NotImplementedError


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
        raise NotImplementedError


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
        raise NotImplementedError


def cosine_schedule(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine, then `min_lr` for ever.

    step < warmup_steps: max_lr * step / warmup_steps. Up to total_steps: from max_lr at warmup_steps down to min_lr at
    total_steps, along min_lr + (max_lr - min_lr) (1 + cos(pi u)) / 2, where u is the fraction of the way (Loshchilov
    and Hutter 2017, equation 5). At total_steps and later: min_lr, also where the warm-up ends there. `warmup_steps` is
    at most total_steps; where it is 0, and total_steps is not, step 0 has max_lr.

    With max_lr 1, min_lr 0, warmup_steps 2, total_steps 6, steps 0, 1, 2, 4, 6, 9 -> 0, .5, 1, .5, 0, 0
    """
    raise NotImplementedError


def clip_grad_norm(parameters: Iterable[nn.Parameter], max_norm: float) -> Float[Tensor, ""]:
    """Scale all gradients, in place, so that their joint L2 norm is at most `max_norm`; return the norm before.

    Every gradient is multiplied by min(1, max_norm / (norm + 1e-6)), where the norm is that of all gradients as one
    long vector: gradients never grow. Parameters whose `grad` is None do not count; without any the norm is 0.
    `parameters` may be an iterator that can be read once, such as model.parameters(). The norm stays a tensor on the
    device: .item() waits.

    gradients [3.] and [4.], max_norm 1 -> returns 5., leaves [0.6] and [0.8]
    """
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


def top_k_filter(logits: Float[Tensor, "*b v"], k: int) -> Float[Tensor, "*b v"]:
    """Keep the k largest logits of each row and set the others to -inf (Fan et al. 2018).

    Kept logits do not change. k >= V keeps all. Where several tie for the last place, any or all of them may stay.
    ValueError where k < 1.

    top_k_filter([1, 3, 2], 2) -> [-inf, 3, 2]
    """
    raise NotImplementedError


def top_p_filter(logits: Float[Tensor, "*b v"], p: float, min_tokens_to_keep: int = 1) -> Float[Tensor, "*b v"]:
    """Keep the nucleus of each row and set the others to -inf (Holtzman et al. 2020, section 3.1).

    The nucleus is the SMALLEST set of most probable tokens whose probabilities sum to p or more: the token that
    crosses p belongs to it. It has at least `min_tokens_to_keep` tokens, also at p = 0. p >= 1 changes nothing. Kept
    logits do not change. Where several tie for the last place, any of them may stay.

    probabilities (.5, .3, .2): p = .5 keeps 1 token, p = .6 keeps 2, p = .8 keeps 2, p = .9 keeps 3
    """
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError
