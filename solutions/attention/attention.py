"""Causal attention: from a stable softmax to a model whose heads can be looked at.

Build in the order of the file; each function uses the ones above it. The handout (README.md) has the maths. B is the
batch size, T a number of tokens, H the number of heads, C = d_model, D = C / H. Every function works on the device and
in the dtype of its input (float16, bfloat16, float32, float64) and changes no argument. Masks are boolean, and True
means may attend.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def softmax(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """Return exp(x) / sum(exp(x)), where the sum runs along `dim`; the shape and dtype of `x`.

    It must not overflow: subtract the maximum of each slice along `dim` first. An entry of -inf gets weight 0. A slice
    that is -inf throughout has no softmax; torch returns NaN there, this function may, and nothing asks for it.

    softmax([0, ln 3], dim=0) -> [0.25, 0.75];  softmax([1000, 1000], dim=0) -> [0.5, 0.5]
    """
    ### BEGIN SOLUTION
    weights = (x - x.amax(dim, keepdim=True)).exp()  # the largest exponent is 0, so exp cannot overflow
    return weights / weights.sum(dim, keepdim=True)
    ### END SOLUTION


def causal_mask(
    q_len: int, k_len: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "q_len k_len"]:
    """Return the boolean mask in which query i may attend to key j if j <= i + k_len - q_len.

    `k_len` defaults to `q_len`: the lower triangle with its diagonal. With more keys than queries the mask is aligned
    at the BOTTOM RIGHT: the queries are the last `q_len` tokens of the sequence, so the last one sees every key. With
    fewer keys than queries the same formula leaves the first rows empty. (torch's is_causal=True aligns at the top
    left, which is something else.)

    causal_mask(2, 4) -> [[True, True, True, False], [True, True, True, True]]
    """
    ### BEGIN SOLUTION
    k_len = q_len if k_len is None else k_len
    return torch.ones(q_len, k_len, dtype=torch.bool, device=device).tril(k_len - q_len)
    ### END SOLUTION


def scaled_dot_product_attention(
    q: Float[Tensor, "... q_len d_k"],
    k: Float[Tensor, "... k_len d_k"],
    v: Float[Tensor, "... k_len d_v"],
    mask: Bool[Tensor, "#... #q_len k_len"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "... q_len d_v"]:
    """Return softmax(scale * q k^T) v, the softmax taken over keys (Vaswani et al. 2017, equation 1).

    `scale` defaults to 1 / sqrt(d_k). `mask` broadcasts against the scores (..., q_len, k_len), for instance (q_len,
    k_len) or (B, 1, 1, k_len); True = may attend, None = every query sees every key. A key that is masked has weight
    exactly 0, whatever finite numbers it holds. A query that may attend to nothing gets a row of zeros, and a gradient
    of zero, never NaN.

    q = [[0]], k = [[1], [2]], v = [[10], [20]] -> [[15]];  mask [[True, False]] -> [[10]];  [[False, False]] -> [[0]]
    """
    ### BEGIN SOLUTION
    d_k = q.shape[-1]
    scale = 1 / math.sqrt(d_k) if scale is None else scale
    scores = q @ k.mT * scale  # (..., q_len, k_len)
    if mask is None:
        return softmax(scores, dim=-1) @ v
    some = mask.any(dim=-1, keepdim=True)  # an empty row keeps its scores here: a softmax of -inf alone would be NaN
    weights = softmax(scores.masked_fill(some & ~mask, -math.inf), dim=-1)
    return weights.masked_fill(~mask, 0.0) @ v  # and loses its weights here, so that its gradient is 0 too
    ### END SOLUTION


def split_heads(x: Float[Tensor, "b t c"], n_heads: int) -> Float[Tensor, "b n_heads t d"]:
    """Cut the channels into `n_heads` contiguous blocks: head h is x[..., h*D : (h+1)*D], where D = C / n_heads.

    split_heads([[[1, 2, 3, 4]]], n_heads=2) -> [[[[1, 2]], [[3, 4]]]]
    """
    ### BEGIN SOLUTION
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)  # (B, T, H, D) -> (B, H, T, D)
    ### END SOLUTION


def merge_heads(x: Float[Tensor, "b n_heads t d"]) -> Float[Tensor, "b t c"]:
    """Put the heads side by side again, head 0 first: the inverse of `split_heads`.

    merge_heads([[[[1, 2]], [[3, 4]]]]) -> [[[1, 2, 3, 4]]]
    """
    ### BEGIN SOLUTION
    return x.transpose(1, 2).flatten(2)  # (B, T, H, D) -> (B, T, C)
    ### END SOLUTION


class CausalSelfAttention(nn.Module):
    """Multi-head self-attention in which no token sees a later one (Vaswani et al. 2017, section 3.2).

    Its parameters are four linear maps, d_model to d_model: `q`, `k`, `v` and `out`. There is no dropout and no cache.
    """

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
        """Project x to q, k, v; attend within each head under the causal mask; merge the heads; project by `out`.

        `key_padding_mask` is True where a token is real: nobody attends to the others. (nn.MultiheadAttention's mask of
        that name means the opposite.)
        """
        ### BEGIN SOLUTION
        q, k, v = (split_heads(project(x), self.n_heads) for project in (self.q, self.k, self.v))  # (B, H, T, D)
        mask = causal_mask(x.shape[1], device=x.device)  # (T, T)
        if key_padding_mask is not None:
            mask = mask & key_padding_mask[:, None, None, :]  # (B, 1, T, T)
        return self.out(merge_heads(scaled_dot_product_attention(q, k, v, mask)))
        ### END SOLUTION


def apply_rope(
    x: Float[Tensor, "... t d"], positions: Int[Tensor, "#... t"] | None = None, theta: float = 10000.0
) -> Float[Tensor, "... t d"]:
    """Rotate each pair of channels by an angle that grows with the token's position (Su et al. 2021, equation 15).

    Pairs are INTERLEAVED: (x0, x1), (x2, x3), ... Pair i of a token at position p turns by p * theta^(-2i / d) radians,
    counter-clockwise: (a, b) -> (a cos - b sin, a sin + b cos). `d` is even. `positions` are integers that broadcast
    against x.shape[:-1], for instance (T,) or (B, 1, T); None means 0, 1, ..., T - 1. Take angles, cosines and sines in
    float32 at least, also where x is of half precision: bfloat16 has no integer between 256 and 258.

    apply_rope([[1, 0]], positions=[2]) -> [[cos 2, sin 2]]
    """
    ### BEGIN SOLUTION
    t, d = x.shape[-2:]
    if positions is None:
        positions = torch.arange(t, device=x.device)
    dtype = torch.promote_types(x.dtype, torch.float32)
    frequencies = theta ** (-torch.arange(0, d, 2, device=x.device, dtype=dtype) / d)  # (d/2,)
    angles = positions.unsqueeze(-1) * frequencies  # (..., T, d/2)
    cos, sin = angles.cos(), angles.sin()
    a, b = x[..., 0::2], x[..., 1::2]  # (..., T, d/2) each
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2).to(x.dtype)
    ### END SOLUTION


def chunked_attention(
    q: Float[Tensor, "... q_len d_k"],
    k: Float[Tensor, "... k_len d_k"],
    v: Float[Tensor, "... k_len d_v"],
    *,
    causal: bool,
    block_size: int = 128,
) -> Float[Tensor, "... q_len d_v"]:
    """Return what `scaled_dot_product_attention` returns, in blocks: no (q_len, k_len) tensor is ever made.

    The softmax is computed online: each row keeps the largest score so far, the sum of exponentials and the sum of
    weighted values, both relative to that maximum, and rescales them when a later block has a larger one (Milakov and
    Gimelshein 2018, algorithm 3; Rabe and Staats 2021; Dao et al. 2022, algorithm 1). Memory is O(length * block_size).
    `causal=True` means the mask `causal_mask(q_len, k_len)`, with k_len >= q_len. `block_size` >= 1 need not divide a
    length. Forward only: nothing asks for its gradient or for less work in the backward pass.

    chunked_attention(q, k, v, causal=True) is scaled_dot_product_attention(q, k, v, causal_mask(q_len, k_len))
    """
    ### BEGIN SOLUTION
    q_len, k_len, scale = q.shape[-2], k.shape[-2], 1 / math.sqrt(q.shape[-1])
    dtype = torch.promote_types(q.dtype, torch.float32)  # half precision would lose sums over many blocks
    scaled_q = q.to(dtype) * scale  # once, instead of every block of scores
    columns = torch.arange(k_len, device=q.device)
    last_column = torch.arange(k_len - q_len, k_len, device=q.device)[:, None]  # that each query may attend to
    outputs = []
    for i in range(0, q_len, block_size):
        q_block, last = scaled_q[..., i : i + block_size, :], last_column[i : i + block_size]  # (..., b, d_k), (b, 1)
        high = torch.full((*q_block.shape[:-1], 1), -math.inf, dtype=dtype, device=q.device)
        total = torch.zeros_like(high)  # sum of exp(score - high)
        mixed = torch.zeros_like(high)  # sum of exp(score - high) v, (..., b, d_v) after the first block
        stop = min(i + block_size, q_len) + k_len - q_len if causal else k_len  # no query here sees key `stop`
        for j in range(0, stop, block_size):
            block = slice(j, min(j + block_size, stop))
            scores = q_block @ k[..., block, :].to(dtype).mT  # (..., b, block)
            if causal and block.stop > i + k_len - q_len + 1:  # the block on the diagonal; the others are seen whole
                scores.masked_fill_(columns[block] > last, -math.inf)
            new_high = torch.maximum(high, scores.amax(dim=-1, keepdim=True))
            rescale = (high - new_high).exp()
            weights = scores.sub_(new_high).exp_()  # in place: memory is what takes the time here
            total = total * rescale + weights.sum(dim=-1, keepdim=True)
            mixed = mixed * rescale + weights @ v[..., block, :].to(dtype)
            high = new_high
        outputs.append((mixed / total).to(q.dtype))
    return torch.cat(outputs, dim=-2)
    ### END SOLUTION


class CopyModel(nn.Module):
    """A small transformer without MLPs: embeddings, pre-norm attention with residuals, an unembedding. (Given.)"""

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
        """Return the embeddings of the tokens plus those of their positions: what enters the first layer."""
        return self.token(tokens) + self.position(torch.arange(tokens.shape[-1], device=tokens.device))

    def forward(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t vocab_size"]:
        """Return the logits: those at position t are for token t + 1."""
        x = self.embed(tokens)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        return self.unembed(x)


def attention_map(model: CopyModel, tokens: Int[Tensor, " t"]) -> Float[Tensor, "n_layers n_heads t t"]:
    """Return every attention weight that `model` uses on one sequence: [l, h, i, j] is what query i gives to key j.

    Rows sum to 1 and nothing is above the diagonal. The result carries no gradient. (A hint: what does attention return
    when the values are the rows of the identity matrix?)

    attention_map(model, tokens)[0, 0, 0] -> [1, 0, ..., 0]: the first token has only itself to look at
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        x = model.embed(tokens[None])  # (1, T, C)
        t = tokens.shape[0]
        one_hot = torch.eye(t, dtype=x.dtype, device=x.device)  # as values: each output row is its row of weights
        maps = []
        for norm, layer in zip(model.norms, model.layers, strict=True):
            h = norm(x)
            q, k = split_heads(layer.q(h), layer.n_heads), split_heads(layer.k(h), layer.n_heads)  # (1, H, T, D)
            mask = causal_mask(t, device=x.device)
            maps.append(scaled_dot_product_attention(q, k, one_hot.expand(*q.shape[:2], t, t), mask)[0])
            x = x + layer(h)
        return torch.stack(maps)
    ### END SOLUTION


def repeated_sequences(
    batch_size: int, length: int, vocab_size: int, generator: torch.Generator | None = None
) -> Int[Tensor, "b 2*length"]:
    """Return `batch_size` rows [s s]: `length` uniformly random tokens, twice. (Given.)"""
    half = torch.randint(vocab_size, (batch_size, length), generator=generator)
    return torch.cat((half, half), dim=1)


def copy_loss(logits: Float[Tensor, "b 2*length vocab_size"], tokens: Int[Tensor, "b 2*length"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy in nats of the tokens of the SECOND half; the first half cannot be predicted.

    Logits at position t are for token t + 1: those at length - 1, ..., 2 * length - 2 count, and the last ones predict
    nothing.

    logits of zeros and 5 tokens in the vocabulary -> ln 5, whatever the tokens are
    """
    ### BEGIN SOLUTION
    length = tokens.shape[1] // 2
    return F.cross_entropy(logits[:, length - 1 : -1].flatten(0, 1), tokens[:, length:].flatten())
    ### END SOLUTION


def train_copy_task(
    steps: int,
    *,
    vocab_size: int = 16,
    length: int = 8,
    batch_size: int = 32,
    learning_rate: float = 1e-2,
    generator: torch.Generator | None = None,
) -> tuple[CopyModel, list[float]]:
    """Train a two-layer `CopyModel` to repeat; return it and the `copy_loss` of each step, measured before its update.

    Each of the `steps` steps draws a fresh batch of `repeated_sequences` and takes one step of torch.optim.Adam. The
    context is 2 * length tokens. All chance comes from `generator`: the same state gives the same model.
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION
