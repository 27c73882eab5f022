"""What the tests of `bert` draw, and independent oracles made of torch's own modules and of plain loops."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

from autograder.judge import draws

PAD, CLS, SEP, MASK = 0, 1, 2, 3  # ids of specials in tests that need them; words start at WORD
WORD = 4
KINDS = ("weight", "bias")


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights_of(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """A state dict of normal numbers, those of norms moved to a mean of 1."""
    made = {name: normal(shape, seed + number) for number, (name, shape) in enumerate(shapes.items())}
    return {name: 1 + 0.3 * w if name.endswith("norm.weight") else w for name, w in made.items()}


# --- data -------------------------------------------------------------------------------------------------------------


@st.composite
def sentences(draw: st.DrawFn, min_size: int = 1, max_size: int = 6) -> list[int]:
    """Token ids without special ones."""
    return draw(st.lists(st.integers(WORD, WORD + 9), min_size=min_size, max_size=max_size))


@st.composite
def documents(draw: st.DrawFn, min_documents: int = 2) -> list[list[list[int]]]:
    """Documents whose sentences all differ: sentence s of document d starts with 100 * d + s."""
    lengths = draw(st.lists(st.integers(1, 4), min_size=min_documents, max_size=4))
    tails = st.lists(st.integers(10_000, 10_003), max_size=2)
    return [[[100 * (d + 1) + s, *draw(tails)] for s in range(length)] for d, length in enumerate(lengths)]


@st.composite
def maskable(draw: st.DrawFn, vocab_size: int = 9) -> tuple[Tensor, Tensor]:
    """(input_ids, special_mask), sometimes without and sometimes with nothing but special tokens; any strides."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 6)))
    input_ids, special = draw(draws.token_ids(shape, vocab_size)), draw(bools(shape))
    if draw(st.booleans()):
        input_ids = draws.noncontiguous(input_ids)
    return input_ids, special


@st.composite
def bools(draw: st.DrawFn, shape: tuple[int, ...]) -> Tensor:
    """A bool tensor; shrinks towards False everywhere."""
    count = torch.Size(shape).numel()
    return torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=torch.bool).reshape(shape)


@st.composite
def real_tokens(draw: st.DrawFn, shape: tuple[int, int]) -> Tensor:
    """A mask of real tokens with holes anywhere but at the first token."""
    mask = ~draw(bools(shape))
    mask[:, 0] = True
    return mask


def truncated(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    """One token after the other."""
    a, b = list(a), list(b)
    while len(a) + len(b) > max_tokens:
        (a if len(a) > len(b) else b).pop()
    return a, b


# --- embeddings -------------------------------------------------------------------------------------------------------


@st.composite
def embedding_cases(draw: st.DrawFn, min_b: int = 1, min_t: int = 1) -> tuple[dict[str, int], Any, Tensor]:
    """(sizes, weights, input_ids) of `BertEmbeddings`, float64; sometimes a token id of the input is the padding's.

    At least three channels: with two a norm returns signs, whose error no small change of the input shows.
    """
    c, t = draw(st.integers(3, 5)), draw(st.integers(min_t, 5))
    sizes = {
        "vocab_size": draw(st.integers(2, 6)),
        "d_model": c,
        "max_len": t + draw(st.integers(0, 2)),
        "n_segments": draw(st.integers(2, 3)),
    }
    sizes["pad_id"] = draw(st.integers(0, sizes["vocab_size"] - 1))
    shapes = {
        "word.weight": (sizes["vocab_size"], c),
        "position.weight": (sizes["max_len"], c),
        "segment.weight": (sizes["n_segments"], c),
        "norm.weight": (c,),
        "norm.bias": (c,),
    }
    input_ids = draw(draws.token_ids((draw(st.integers(min_b, 3)), t), sizes["vocab_size"]))
    return sizes, weights_of(shapes, draw(draws.seeds())), input_ids


def build_embeddings(bert: Any, sizes: dict[str, int], weights: dict[str, Tensor], **options: Any) -> Any:
    """A submission's `BertEmbeddings` in float64 with these weights."""
    embeddings = bert.BertEmbeddings(**sizes, **options)
    embeddings.double()
    embeddings.load_state_dict(weights)
    return embeddings


def summed(
    input_ids: Tensor, weights: dict[str, Tensor], segments: Tensor | None = None, positions: Tensor | None = None
) -> Tensor:
    """The three rows of each token, added; one-hot rows times tables."""
    b, t = input_ids.shape
    segments = torch.zeros_like(input_ids) if segments is None else segments
    positions = torch.arange(t).repeat(b, 1) if positions is None else positions
    total = torch.zeros((), dtype=weights["word.weight"].dtype)
    for ids, name in ((input_ids, "word"), (positions, "position"), (segments, "segment")):
        table = weights[f"{name}.weight"]
        total = total + F.one_hot(ids, len(table)).to(table.dtype) @ table
    return total


def normed(input_ids: Tensor, weights: dict[str, Tensor], *others: Tensor | None, eps: float = 1e-12) -> Tensor:
    """`summed` after its norm, spelled out."""
    x = summed(input_ids, weights, *others)
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weights["norm.weight"] + weights["norm.bias"]


# --- model ------------------------------------------------------------------------------------------------------------


def attention_shapes(c: int, prefix: str = "") -> dict[str, tuple[int, ...]]:
    names = ("q", "k", "v", "out")
    return {f"{prefix}{name}.{kind}": (c, c) if kind == "weight" else (c,) for name in names for kind in KINDS}


def layer_shapes(c: int, d_ff: int, prefix: str = "") -> dict[str, tuple[int, ...]]:
    shapes = attention_shapes(c, f"{prefix}attention.")
    shapes |= {f"{prefix}attention_norm.weight": (c,), f"{prefix}attention_norm.bias": (c,)}
    shapes |= {f"{prefix}ff_in.weight": (d_ff, c), f"{prefix}ff_in.bias": (d_ff,)}
    shapes |= {f"{prefix}ff_out.weight": (c, d_ff), f"{prefix}ff_out.bias": (c,)}
    return shapes | {f"{prefix}ff_norm.weight": (c,), f"{prefix}ff_norm.bias": (c,)}


@st.composite
def configs(draw: st.DrawFn, min_heads: int = 1, **fixed: Any) -> dict[str, Any]:
    """The fields of a `BertConfig` without dropout."""
    n_heads = draw(st.integers(min_heads, 3))
    config = {
        "vocab_size": draw(st.integers(5, 7)),
        "context_length": 6,
        "d_model": n_heads * draw(st.integers(3, 4)),
        "n_heads": n_heads,
        "n_layers": draw(st.integers(1, 2)),
        "d_ff": draw(st.integers(2, 5)),
        "n_segments": 2,
        "dropout": 0.0,
        "pad_id": 0,
        "eps": 1e-12,
    }
    return config | fixed


@st.composite
def attention_cases(draw: st.DrawFn, min_t: int = 1) -> tuple[int, dict[str, Tensor], Tensor, Tensor]:
    """(n_heads, weights, x, real) for a `BertSelfAttention`, float64."""
    n_heads = draw(st.integers(1, 3))
    c = n_heads * draw(st.integers(1, 3))
    shape = (draw(st.integers(1, 3)), draw(st.integers(min_t, 5)))
    x = draw(draws.tensors((*shape, c), dtype=torch.float64))
    return n_heads, weights_of(attention_shapes(c), draw(draws.seeds())), x, draw(real_tokens(shape))


@st.composite
def layer_cases(draw: st.DrawFn, min_t: int = 1) -> tuple[dict[str, Any], dict[str, Tensor], Tensor, Tensor]:
    """(config, weights, x, real) for a `BertLayer`, float64."""
    config = draw(configs())
    c, shape = config["d_model"], (draw(st.integers(1, 3)), draw(st.integers(min_t, 5)))
    x = normal((*shape, c), draw(draws.seeds()))
    return config, weights_of(layer_shapes(c, config["d_ff"]), draw(draws.seeds())), x, draw(real_tokens(shape))


def model_weights(config: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """A state dict of `BertForPreTraining`."""
    c, v = config["d_model"], config["vocab_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word.weight": (v, c),
        "embeddings.position.weight": (config["context_length"], c),
        "embeddings.segment.weight": (config["n_segments"], c),
        "embeddings.norm.weight": (c,),
        "embeddings.norm.bias": (c,),
    }
    for i in range(config["n_layers"]):
        shapes |= layer_shapes(c, config["d_ff"], f"layers.{i}.")
    shapes |= {"mlm_dense.weight": (c, c), "mlm_dense.bias": (c,), "mlm_norm.weight": (c,), "mlm_norm.bias": (c,)}
    shapes |= {"mlm_bias": (v,), "pooler.weight": (c, c), "pooler.bias": (c,), "nsp.weight": (2, c), "nsp.bias": (2,)}
    return weights_of(shapes, seed)


@st.composite
def model_cases(
    draw: st.DrawFn, min_t: int = 1, **fixed: Any
) -> tuple[dict[str, Any], dict[str, Tensor], tuple[Tensor, ...]]:
    """(config, weights, (input_ids, segment_ids, attention_mask)) for a `BertForPreTraining`, float64."""
    config = draw(configs(**fixed))
    shape = (draw(st.integers(1, 3)), draw(st.integers(min_t, 5)))
    input_ids = draw(draws.token_ids(shape, config["vocab_size"]))
    segment_ids = draw(draws.token_ids(shape, 2))
    return config, model_weights(config, draw(draws.seeds())), (input_ids, segment_ids, draw(real_tokens(shape)))


def build(bert: Any, kind: str, arguments: Any, weights: dict[str, Tensor], dtype: torch.dtype = torch.float64) -> Any:
    """A submission's module with these weights: `arguments` are a config's fields, or positional arguments."""
    config = isinstance(arguments, dict)
    module = getattr(bert, kind)(*([bert.BertConfig(**arguments)] if config else arguments))
    module.to(dtype)
    module.load_state_dict(weights)
    return module


def below(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries of a state dict below `prefix`, named from there."""
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def torch_attention(x: Tensor, weights: dict[str, Tensor], n_heads: int, real: Tensor | None) -> Tensor:
    """torch's own multi-head attention with the same weights."""
    layer = nn.MultiheadAttention(x.shape[-1], n_heads, batch_first=True, dtype=x.dtype)
    options = {"key_padding_mask": None if real is None else ~real, "need_weights": False}
    mixed: Tensor = torch.func.functional_call(layer, _torch_names(weights), (x, x, x), options)[0]
    return mixed


def _torch_names(weights: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """The weights of an attention under the names of nn.MultiheadAttention."""
    named = {f"{prefix}in_proj_{kind}": torch.cat([weights[f"{name}.{kind}"] for name in "qkv"]) for kind in KINDS}
    return named | {f"{prefix}out_proj.{kind}": weights[f"out.{kind}"] for kind in KINDS}


def torch_layer(x: Tensor, weights: dict[str, Tensor], config: dict[str, Any], real: Tensor | None) -> Tensor:
    """torch's own post-norm encoder layer with the same weights, differentiable. In training mode: no fast path."""
    c = config["d_model"]
    layer = nn.TransformerEncoderLayer(
        c, config["n_heads"], config["d_ff"], dropout=0.0, activation="gelu",
        layer_norm_eps=config["eps"], batch_first=True, norm_first=False, dtype=x.dtype,
    )  # fmt: skip
    named = _torch_names(below(weights, "attention."), "self_attn.")
    names = {"linear1": "ff_in", "linear2": "ff_out", "norm1": "attention_norm", "norm2": "ff_norm"}
    named |= {f"{theirs}.{kind}": weights[f"{ours}.{kind}"] for theirs, ours in names.items() for kind in KINDS}
    options = {"src_key_padding_mask": None if real is None else ~real}
    y: Tensor = torch.func.functional_call(layer, named, (x,), options)
    return y


def torch_model(
    weights: dict[str, Tensor], config: dict[str, Any], inputs: tuple[Tensor | None, ...]
) -> tuple[Tensor, Tensor]:
    """(mlm_logits, nsp_logits) by torch's own layers."""
    input_ids, segment_ids, real = inputs
    x = normed(input_ids, below(weights, "embeddings."), segment_ids, eps=config["eps"])
    for i in range(config["n_layers"]):
        x = torch_layer(x, below(weights, f"layers.{i}."), config, real)
    h = F.linear(x, weights["mlm_dense.weight"], weights["mlm_dense.bias"])
    h = h * 0.5 * (1 + torch.erf(h / 2**0.5))
    h = F.layer_norm(h, h.shape[-1:], weights["mlm_norm.weight"], weights["mlm_norm.bias"], config["eps"])
    pooled = F.linear(x[:, 0], weights["pooler.weight"], weights["pooler.bias"]).tanh()
    return (
        h @ weights["embeddings.word.weight"].T + weights["mlm_bias"],
        F.linear(pooled, weights["nsp.weight"], weights["nsp.bias"]),
    )
