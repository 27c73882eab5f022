"""What the tests of `gpt` draw, and an independent GPT: a function of a dict of weights, in torch's own operations."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import Given, draws

Weights = dict[str, Tensor]
Config = dict[str, Any]


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- models -----------------------------------------------------------------------------------------------------------


def config(
    vocab_size: int = 5,
    context_length: int = 8,
    d_model: int = 6,
    n_heads: int = 2,
    n_layers: int = 2,
    **more: Any,
) -> Config:
    """The arguments of a small `GPTConfig`."""
    return {
        "vocab_size": vocab_size, "context_length": context_length, "d_model": d_model, "n_heads": n_heads,
        "n_layers": n_layers, **more,
    }  # fmt: skip


@st.composite
def configs(draw: st.DrawFn, **fixed: Any) -> Config:
    """Small configurations of both kinds of norm and activation, with and without biases."""
    n_heads = draw(st.integers(1, 3))
    drawn = {
        "vocab_size": draw(st.integers(2, 6)),
        "context_length": draw(st.integers(2, 8)),
        "d_model": n_heads * draw(st.integers(2, 3)),
        "n_heads": n_heads,
        "n_layers": draw(st.integers(1, 2)),
        "d_ff": draw(st.sampled_from([None, 5])),
        "norm": draw(st.sampled_from(["layernorm", "rmsnorm"])),
        "activation": draw(st.sampled_from(["gelu", "swiglu"])),
        "bias": draw(st.booleans()),
    }
    return drawn | fixed


def block_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters of one block."""
    c = config["d_model"]
    d_ff = config.get("d_ff") or 4 * c
    linears = {"attention.qkv": (3 * c, c), "attention.out": (c, c), "mlp.up": (d_ff, c), "mlp.down": (c, d_ff)}
    if config.get("activation") == "swiglu":
        linears["mlp.gate"] = (d_ff, c)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in linears.items():
        shapes[f"{name}.weight"] = shape
        if config.get("bias", True):
            shapes[f"{name}.bias"] = shape[:1]
    for name in ("norm_1", "norm_2"):
        shapes |= norm_shapes(config, name)
    return shapes


def norm_shapes(config: Config, name: str) -> dict[str, tuple[int, ...]]:
    kinds = ("weight", "bias") if config.get("norm", "layernorm") == "layernorm" else ("weight",)
    return {f"{name}.{kind}": (config["d_model"],) for kind in kinds}


def gpt_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters of a GPT."""
    shapes: dict[str, tuple[int, ...]] = {
        "token.weight": (config["vocab_size"], config["d_model"]),
        "position.weight": (config["context_length"], config["d_model"]),
    }
    for i in range(config["n_layers"]):
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block_shapes(config).items()}
    return shapes | norm_shapes(config, "norm")


def weights_of(shapes: dict[str, tuple[int, ...]], seed: int) -> Weights:
    """Weights large enough that every part of a model matters."""
    scales = {1: 1.0, 2: 0.7}
    return {name: normal(shape, seed + i) * scales[len(shape)] for i, (name, shape) in enumerate(shapes.items())}


def build(gpt: Any, config: Config, weights: Weights) -> Any:
    """A submission's GPT in float64 with these weights."""
    model = gpt.GPT(gpt.GPTConfig(**config))
    model.double()
    model.load_state_dict(weights)
    return model


def model_of(gpt: Any, config: Config, seed: int, silent: bool = False) -> tuple[Any, Weights]:
    """A submission's GPT with weights from a seed, and the weights.

    In a `silent` one the feed-forward networks add only their biases: what is tested has nothing to do with them, so a
    wrong activation costs its own points and no others.
    """
    weights = weights_of(gpt_shapes(config), seed)
    if silent:
        weights = {name: 0 * w if name.endswith("mlp.down.weight") else w for name, w in weights.items()}
    return build(gpt, config, weights), weights


@st.composite
def models_and_ids(
    draw: st.DrawFn, min_t: int = 1, min_b: int = 1, max_b: int = 3, **options: Any
) -> tuple[Config, int, Tensor]:
    """(config, seed of the weights, ids (B, T)) with T no longer than the context."""
    drawn = draw(configs(**({"context_length": draw(st.integers(max(2, min_t), 8))} | options)))
    batch, length = draw(st.integers(min_b, max_b)), draw(st.integers(min_t, drawn["context_length"]))
    return drawn, draw(draws.seeds()), draw(draws.token_ids((batch, length), drawn["vocab_size"]))


# --- an independent GPT -----------------------------------------------------------------------------------------------


def linear(x: Tensor, w: Weights, name: str) -> Tensor:
    y = x @ w[f"{name}.weight"].T
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def normed(x: Tensor, w: Weights, name: str, kind: str = "layernorm") -> Tensor:
    if kind == "layernorm":
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-5)
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * w[f"{name}.weight"]


def attention(x: Tensor, w: Weights, name: str, n_heads: int, real: Tensor | None = None) -> Tensor:
    """Causal attention, head by head. A token always sees itself."""
    q, k, v = linear(x, w, f"{name}.qkv").chunk(3, dim=-1)
    t, c = x.shape[-2:]
    d = c // n_heads
    allowed = torch.ones(t, t, dtype=torch.bool).tril()
    if real is not None:
        allowed = allowed & (real[:, None, :] | torch.eye(t, dtype=torch.bool))
    heads = []
    for h in range(n_heads):
        part = slice(h * d, (h + 1) * d)
        scores = torch.einsum("bid,bjd->bij", q[..., part], k[..., part]) / math.sqrt(d)
        heads.append(torch.softmax(scores.masked_fill(~allowed, -math.inf), -1) @ v[..., part])
    return linear(torch.cat(heads, -1), w, f"{name}.out")


def feed_forward(x: Tensor, w: Weights, name: str) -> Tensor:
    up = linear(x, w, f"{name}.up")
    if f"{name}.gate.weight" in w:
        gate = linear(x, w, f"{name}.gate")
        return linear(gate * torch.sigmoid(gate) * up, w, f"{name}.down")
    gelu = 0.5 * up * (1 + torch.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
    return linear(gelu, w, f"{name}.down")


def block(x: Tensor, w: Weights, config: Config, name: str = "", real: Tensor | None = None) -> Tensor:
    kind = config.get("norm", "layernorm")
    x = x + attention(normed(x, w, f"{name}norm_1", kind), w, f"{name}attention", config["n_heads"], real)
    return x + feed_forward(normed(x, w, f"{name}norm_2", kind), w, f"{name}mlp")


def logits_of(
    w: Weights, config: Config, ids: Tensor, positions: Tensor | None = None, real: Tensor | None = None
) -> Tensor:
    """The logits (B, T, V) of a GPT with these weights."""
    positions = torch.arange(ids.shape[1]) if positions is None else positions
    x = w["token.weight"][ids] + w["position.weight"][positions]
    for i in range(config["n_layers"]):
        x = block(x, w, config, f"blocks.{i}.", real)
    return normed(x, w, "norm", config.get("norm", "layernorm")) @ w["token.weight"].T


def greedy(w: Weights, config: Config, prompt: list[int], n: int, eos_id: int | None = None) -> list[int]:
    """The tokens that greedy decoding adds to one prompt, from the last context_length tokens each time."""
    text = list(prompt)
    for _ in range(n):
        window = torch.tensor([text[-config["context_length"] :]])
        text.append(int(logits_of(w, config, window)[0, -1].argmax()))
        if text[-1] == eos_id:
            break
    return text[len(prompt) :]


# --- tables -----------------------------------------------------------------------------------------------------------


def table(gpt: Any, logits: Tensor) -> Any:
    """The given TableModel in the worker: a model whose logits are looked up by the last token."""
    return gpt.make(Given("tables.TableModel"), logits)


def continuations(logits: Tensor, last: int, n: int) -> list[tuple[tuple[int, ...], float]]:
    """Every continuation of n tokens under a table of order 1, with the log of its probability."""
    log_p = logits.log_softmax(-1)
    found = []
    for tokens in itertools.product(range(logits.shape[-1]), repeat=n):
        pairs = zip((last, *tokens[:-1]), tokens, strict=True)
        found.append((tokens, sum(float(log_p[a, b]) for a, b in pairs)))
    return found


@st.composite
def tables(draw: st.DrawFn, max_v: int = 4, min_v: int = 2) -> Tensor:
    """A table (V, V) of order 1 in float64, without ties."""
    v = draw(st.integers(min_v, max_v))
    return normal((v, v), draw(draws.seeds())) * draw(st.sampled_from([1.0, 3.0]))


@st.composite
def distinct_logits(draw: st.DrawFn, min_b: int = 1, max_b: int = 4, min_v: int = 1, max_v: int = 8) -> Tensor:
    """Logits (B, V) in which no two of a row are closer than 0.05, float64 or float32, sometimes not contiguous."""
    batch, v = draw(st.integers(min_b, max_b)), draw(st.integers(min_v, max_v))
    rows = [draw(st.lists(st.integers(-60, 60), min_size=v, max_size=v, unique=True)) for _ in range(batch)]
    x = torch.tensor(rows, dtype=torch.float64) / 20
    x = x.to(draw(draws.float_dtypes()))
    return draws.noncontiguous(x) if x.numel() > 1 and draw(st.booleans()) else x
