"""What the tests of `attention` draw, and independent oracles made of torch's own operations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

from autograder.judge import checks, draws

MAX_DRAWN_ENTRIES = 8
HALF = st.sampled_from([torch.bfloat16, torch.float16])


@st.composite
def bools(draw: st.DrawFn, shape: tuple[int, ...]) -> Tensor:
    """A bool tensor, sometimes not contiguous; a small one shrinks towards True everywhere."""
    count = torch.Size(shape).numel()
    if count <= MAX_DRAWN_ENTRIES:
        entries = draw(st.lists(st.sampled_from([True, False]), min_size=count, max_size=count))
        x = torch.tensor(entries, dtype=torch.bool).reshape(shape)
    else:  # one seed, since drawing each entry would cost more than the test
        x = torch.rand(shape, generator=torch.Generator().manual_seed(draw(draws.seeds()))) < 0.6
    return draws.noncontiguous(x) if count > 1 and draw(st.booleans()) else x


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, ...]) -> Tensor:
    """A mask of this shape in which every query may attend to at least one key."""
    mask = draw(bools(shape))
    rows = torch.arange(mask[..., 0].numel()).reshape(*shape[:-1], 1)
    return mask | ((torch.arange(shape[-1]) == rows % shape[-1]) & ~mask.any(-1, keepdim=True))


@st.composite
def q_k_v(
    draw: st.DrawFn,
    dtype: Any = None,
    elements: Any = "normal",
    min_d: int = 1,
    min_keys: int = 1,
    lead: Any = None,
    more_keys: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of 2 to 4 dimensions; lengths differ at times, and so do d_k and d_v."""
    lead = draw(draws.shapes(min_dims=0, max_dims=2, max_side=3) if lead is None else st.just(lead))
    q_len = draw(st.integers(1, 6))
    k_len = q_len + draw(st.integers(0, 3)) if more_keys else draw(st.integers(min_keys, 6))
    d_k, d_v = draw(st.integers(min_d, 5)), draw(st.integers(1, 5))
    dtype = (
        draw(draws.float_dtypes()) if dtype is None else draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    )
    sizes = ((q_len, d_k), (k_len, d_k), (k_len, d_v))
    q, k, v = (draw(draws.tensors((*lead, *size), dtype=dtype, elements=elements)) for size in sizes)
    return q, k, v


@st.composite
def masked_q_k_v(draw: st.DrawFn, **options: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`q_k_v` and a mask with all of their dimensions, at least two keys wide: with one there is nothing to choose."""
    q, k, v = draw(q_k_v(min_keys=2, **options))
    return q, k, v, draw(masks((*q.shape[:-1], k.shape[-2])))


@st.composite
def broadcast_masked_q_k_v(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four-dimensional q, k and v with at least two batches and heads, and a mask that has to be broadcast."""
    lead = (draw(st.integers(2, 3)), draw(st.integers(2, 3)))
    q, k, v = draw(q_k_v(dtype=torch.float64, min_keys=2, lead=lead))
    b, h, q_len, k_len = *lead, q.shape[-2], k.shape[-2]
    shapes = [(q_len, k_len), (1, k_len), (b, 1, 1, k_len), (b, 1, q_len, k_len), (1, h, q_len, k_len), (h, 1, k_len)]
    return q, k, v, draw(masks(draw(st.sampled_from(shapes))))


@st.composite
def some_rows_empty(draw: st.DrawFn, **options: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`masked_q_k_v` where at least one query may attend to nothing."""
    q, k, v, mask = draw(masked_q_k_v(**options))
    rows = mask[..., 0].numel()
    empty = draw(st.sets(st.integers(0, rows - 1), min_size=1))
    flat = mask.reshape(rows, -1).clone()
    flat[sorted(empty)] = False
    return q, k, v, flat.reshape(mask.shape)


def attends(
    returned: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> None:
    """`returned` is torch's attention in float64, as closely as arithmetic in the dtype of q allows.

    Rounding a score s moves its weight by a factor of 1 + eps |s|, and any order of the sums is as good as another. So
    8 eps (1 + S) max|v| is allowed, where S is the largest sum of |q_i k_i| behind a score that is not masked.
    """
    wide = [x.double() for x in (q, k, v)]
    expected = F.scaled_dot_product_attention(*wide, attn_mask=mask, scale=scale)
    factor = q.shape[-1] ** -0.5 if scale is None else abs(scale)
    sizes = wide[0].abs() @ wide[1].abs().mT * factor
    largest = float((sizes if mask is None else sizes.masked_fill(~mask, 0.0)).max())
    allowed = wide[2] if mask is None else wide[2].masked_fill(~mask.expand(sizes.shape).any(-2)[..., None], 0.0)
    atol = 8 * torch.finfo(q.dtype).eps * (1 + largest) * float(allowed.abs().max())
    checks.close(returned, expected.to(q.dtype), rtol=8 * torch.finfo(q.dtype).eps, atol=atol)


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def attention_layers(draw: st.DrawFn, min_heads: int = 1) -> tuple[int, int, dict[str, Tensor]]:
    """(d_model, n_heads, weights) of a `CausalSelfAttention`, float64, with or without biases."""
    n_heads = draw(st.integers(min_heads, 3))
    d_model = n_heads * draw(st.integers(1, 3))
    seed = draw(draws.seeds())
    names = [f"{name}.{kind}" for name in ("q", "k", "v", "out") for kind in ("weight", "bias")]
    shapes = {"weight": (d_model, d_model), "bias": (d_model,)}
    kinds = ("weight", "bias") if draw(st.booleans()) else ("weight",)
    weights = {
        name: normal(shapes[kind], seed + number)
        for number, name in enumerate(names)
        if (kind := name.rpartition(".")[2]) in kinds
    }
    return d_model, n_heads, weights


@st.composite
def layers_and_inputs(
    draw: st.DrawFn, min_t: int = 1, min_b: int = 1, min_heads: int = 1
) -> tuple[int, dict[str, Tensor], Tensor]:
    """(n_heads, weights, x) with x of shape (B, T, C) in float64."""
    d_model, n_heads, weights = draw(attention_layers(min_heads))
    batch, length = draw(st.integers(min_b, 3)), draw(st.integers(min_t, 6))
    return n_heads, weights, draw(draws.tensors((batch, length, d_model), dtype=torch.float64))


@st.composite
def padded_layers_and_inputs(draw: st.DrawFn, min_b: int = 1) -> tuple[int, dict[str, Tensor], Tensor, Tensor]:
    """The same with a mask of real tokens; the first token is real, so that every query has something to attend to."""
    n_heads, weights, x = draw(layers_and_inputs(min_t=2, min_b=min_b))
    real = draw(bools(x.shape[:2])).clone()
    real[:, 0] = True
    return n_heads, weights, x, real


def build(attention: Any, n_heads: int, weights: dict[str, Tensor]) -> Any:
    """A submission's `CausalSelfAttention` in float64 with these weights."""
    layer = attention.CausalSelfAttention(weights["q.weight"].shape[0], n_heads, bias="q.bias" in weights)
    layer.double()
    layer.load_state_dict(weights)
    return layer


def sees_the_past(attention: Any) -> None:
    """The last output of a layer depends on the first token. Nothing at all is causal too, and so is the input itself:
    whoever is paid for a relation between outputs says this as well.
    """
    weights = {f"{name}.weight": normal((4, 4), seed) for seed, name in enumerate(("q", "k", "v", "out"))}
    layer, x = build(attention, 2, weights), normal((1, 3, 4), 4)
    other = x.clone()
    other[:, 0] += 1.0
    differs = not torch.equal(layer(x)[:, -1], layer(other)[:, -1])
    checks.holds(differs, "the last output depends on the first token")


def torch_layer(
    x: Tensor, weights: dict[str, Tensor], n_heads: int, real: Tensor | None = None, maps: bool = False
) -> Tensor:
    """torch's own causal multi-head attention with the same weights; with `maps` the map (B, H, T, T) that it used."""
    d_model, length = x.shape[-1], x.shape[1]
    layer = nn.MultiheadAttention(d_model, n_heads, bias="q.bias" in weights, batch_first=True, dtype=x.dtype)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([weights[f"{name}.weight"] for name in "qkv"]))
        layer.out_proj.weight.copy_(weights["out.weight"])
        if "q.bias" in weights:
            layer.in_proj_bias.copy_(torch.cat([weights[f"{name}.bias"] for name in "qkv"]))
            layer.out_proj.bias.copy_(weights["out.bias"])
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        padding = None if real is None else ~real
        out, used = layer(x, x, x, attn_mask=future, key_padding_mask=padding, average_attn_weights=False)
    return used if maps else out


@st.composite
def copy_models(draw: st.DrawFn) -> tuple[int, int, int, dict[str, Tensor], Tensor]:
    """(vocab_size, n_heads, n_layers, weights, tokens): a `CopyModel` that attends sharply, and one sequence."""
    n_heads, n_layers, vocab_size = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(2, 4))
    d_model, length, seed = n_heads * draw(st.integers(2, 3)), draw(st.integers(1, 6)), draw(draws.seeds())
    shapes = {"token.weight": (vocab_size, d_model), "position.weight": (length, d_model)}
    for i in range(n_layers):
        shapes |= {f"norms.{i}.weight": (d_model,), f"norms.{i}.bias": (d_model,)}
        shapes |= {f"layers.{i}.{name}.weight": (d_model, d_model) for name in ("q", "k", "v", "out")}
    shapes["unembed.weight"] = (vocab_size, d_model)
    weights = {name: normal(shape, seed + number) for number, (name, shape) in enumerate(shapes.items())}
    return vocab_size, n_heads, n_layers, weights, draw(draws.token_ids((length,), vocab_size))


def build_copy_model(attention: Any, n_heads: int, n_layers: int, weights: dict[str, Tensor]) -> Any:
    """A submission's `CopyModel` in float64 with these weights."""
    vocab_size, d_model = weights["token.weight"].shape
    context_length = weights["position.weight"].shape[0]
    model = attention.CopyModel(vocab_size, context_length, d_model=d_model, n_heads=n_heads, n_layers=n_layers)
    model.double()
    model.load_state_dict(weights)
    return model


def torch_maps(weights: dict[str, Tensor], tokens: Tensor, n_heads: int, n_layers: int) -> Tensor:
    """The attention weights (n_layers, n_heads, T, T) of a `CopyModel`, by torch's own layers."""
    x = (weights["token.weight"][tokens] + weights["position.weight"][: len(tokens)])[None]
    used = []
    for i in range(n_layers):
        h = F.layer_norm(x, x.shape[-1:], weights[f"norms.{i}.weight"], weights[f"norms.{i}.bias"])
        layer = {f"{name}.weight": weights[f"layers.{i}.{name}.weight"] for name in ("q", "k", "v", "out")}
        used.append(torch_layer(h, layer, n_heads, maps=True)[0])
        x = x + torch_layer(h, layer, n_heads)
    return torch.stack(used)
