"""What the tests of `t5` draw, and oracles that are slow, plain and independent of the reference."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import draws

EOS, PAD = 1, 0
SENTINELS = [99, 98, 97, 96, 95, 94, 93, 92]  # token ids in tests stay below 80

DENSITIES = st.one_of(
    st.sampled_from([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.8, 0.9]), st.floats(0.01, 0.95)
)
MEANS = st.one_of(st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 8.0, 10.0]), st.floats(1.0, 20.0))


def counts(length: int, noise_density: float, mean_span_length: float) -> tuple[int, int]:
    """(noise tokens, noise spans), as the handout defines them."""
    if length < 2 or noise_density == 0:
        return 0, 0
    n = max(1, min(length - 1, round(length * noise_density)))
    return n, min(n, length - n, max(1, round(n / mean_span_length)))


def runs(mask: Sequence[bool]) -> list[int]:
    """The lengths of the runs of True."""
    return [len(list(group)) for value, group in itertools.groupby(mask) if value]


def distribution(draw: Callable[[], Any], times: int) -> Counter[Any]:
    """How often each outcome came, outcomes being tensors of integers made tuples."""
    return Counter(tuple(map(int, draw().tolist())) for _ in range(times))


# --- span corruption


@st.composite
def texts(draw: st.DrawFn, min_length: int = 1, max_length: int = 14) -> Tensor:
    """Token ids 0..79, some of them 0 (padding elsewhere, a token here) or 1 (EOS elsewhere)."""
    length = draw(st.integers(min_length, max_length))
    tokens = draw(st.lists(st.one_of(st.integers(0, 3), st.integers(0, 79)), min_size=length, max_size=length))
    return torch.tensor(tokens, dtype=torch.int64)


@st.composite
def texts_and_masks(draw: st.DrawFn, min_length: int = 1) -> tuple[Tensor, Tensor]:
    """A text and any mask for it with fewer runs than there are sentinels."""
    tokens = draw(texts(min_length, 14))
    mask = draw(st.lists(st.booleans(), min_size=len(tokens), max_size=len(tokens)))
    return tokens, torch.tensor(mask, dtype=torch.bool)


def corrupted(
    tokens: Tensor, mask: Tensor, sentinels: Sequence[int], eos_id: int | None = None, final_sentinel: bool = False
) -> tuple[Tensor, Tensor]:
    """(inputs, targets), one token after the other."""
    inputs: list[int] = []
    targets: list[int] = []
    run, inside = -1, False
    for token, noise in zip(tokens.tolist(), mask.tolist(), strict=True):
        if noise and not inside:
            run += 1
            inputs.append(sentinels[run])
            targets.append(sentinels[run])
        (targets if noise else inputs).append(token)
        inside = noise
    if final_sentinel:
        targets.append(sentinels[run + 1])
    end = [] if eos_id is None else [eos_id]
    return torch.tensor(inputs + end, dtype=torch.int64), torch.tensor(targets + end, dtype=torch.int64)


@st.composite
def corruptions(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, int | None]:
    """(tokens, inputs, targets, eos_id), with or without EOS and final sentinel."""
    tokens, mask = draw(texts_and_masks())
    eos_id = draw(st.sampled_from([None, EOS]))
    inputs, targets = corrupted(tokens, mask, SENTINELS, eos_id, draw(st.booleans()))
    return tokens, inputs, targets, eos_id


# --- BART


@st.composite
def special_masks(draw: st.DrawFn, length: int) -> Tensor:
    """Which tokens are special: some at the beginning, some at the end, and now and then others."""
    before = draw(st.integers(0, min(2, length)))
    after = draw(st.integers(0, min(3, length - before)))
    mask = [True] * before + [False] * (length - before - after) + [True] * after
    if draw(st.booleans()):
        mask = [a or b == 0 for a, b in zip(mask, draw(st.lists(st.integers(0, 4), min_size=length, max_size=length)))]
    return torch.tensor(mask, dtype=torch.bool)


def is_subsequence(short: Sequence[int], long: Sequence[int]) -> bool:
    """Whether `short` is `long` with some items left out."""
    items = iter(long)
    return all(item in items for item in short)


def infilled(text: Sequence[int], budget: int, poisson_lambda: float, mask_id: int, most: int) -> dict[Any, float]:
    """The probability of each result of text infilling with at most `most` masks, by enumeration."""

    def pmf(k: int) -> float:
        return math.exp(-poisson_lambda) * poisson_lambda**k / math.factorial(k)

    found: Counter[Any] = Counter()

    def place(lengths: tuple[int, ...], p: float) -> None:
        items = len(text) - budget + len(lengths)
        slots = list(itertools.permutations(range(items), len(lengths)))  # span number i goes to slot number slots[i]
        for chosen in slots:
            widths = dict(zip(chosen, lengths, strict=True))
            out: list[int] = []
            at = 0
            for item in range(items):
                out.append(mask_id if item in widths else text[at])
                at += widths.get(item, 1)
            found[tuple(out)] += p / len(slots)

    def draw(lengths: tuple[int, ...], p: float) -> None:
        left = budget - sum(lengths)
        place((*lengths, left), p * (1 - sum(pmf(k) for k in range(left))))
        if len(lengths) + 1 < most:
            for k in range(left):
                draw((*lengths, k), p * pmf(k))

    draw((), 1.0)
    return dict(found)


@st.composite
def sentences(draw: st.DrawFn, end_id: int = 2) -> list[list[int]]:
    """At most 4 sentences of tokens 10..79, each ended by `end_id`, the last one perhaps not."""
    made = draw(st.lists(st.lists(st.integers(10, 79), max_size=3), min_size=1, max_size=4))
    made = [[*sentence, end_id] for sentence in made]
    if len(made[-1]) > 1 and draw(st.booleans()):
        made[-1].pop()
    return made


# --- the model


def bucket(relative: int, bidirectional: bool, n_buckets: int, max_distance: int) -> int:
    """The bucket of one relative position, in exact arithmetic."""
    n = n_buckets // 2 if bidirectional else n_buckets
    offset = n if bidirectional and relative > 0 else 0
    d = abs(relative) if bidirectional else max(-relative, 0)
    e = n // 2
    if d < e:
        return offset + d
    return offset + min(e + _steps(d, e, n, max_distance)[0], n - 1)


def on_an_edge(relative: int, bidirectional: bool, n_buckets: int, max_distance: int) -> bool:
    """Whether this relative position lies exactly where a bucket begins, so that rounding may decide."""
    n = n_buckets // 2 if bidirectional else n_buckets
    d = abs(relative) if bidirectional else max(-relative, 0)
    e = n // 2
    return d > e and _steps(d, e, n, max_distance)[1]


def _steps(d: int, e: int, n: int, max_distance: int) -> tuple[int, bool]:
    """The largest k <= n - e with (d / e)^(n - e) >= (max_distance / e)^k, and whether the two are equal."""
    wide = n - e

    def compare(k: int) -> tuple[int, int]:
        return d**wide * e**k, max_distance**k * e**wide

    k = max(k for k in range(wide + 1) if compare(k)[0] >= compare(k)[1])
    return k, compare(k)[0] == compare(k)[1]


def bias(table: Tensor, length: int, bidirectional: bool, max_distance: int) -> Tensor:
    """(1, H, T, T), entry by entry."""
    rows = [
        torch.stack([table[bucket(j - i, bidirectional, table.shape[0], max_distance)] for j in range(length)])
        for i in range(length)
    ]
    return torch.stack(rows).permute(2, 0, 1)[None]


def normal(shape: tuple[int, ...], seed: int, std: float = 1.0) -> Tensor:
    """Normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * std


def weights_of(sizes: dict[str, int], seed: int) -> dict[str, Tensor]:
    """Random weights of a `Seq2Seq`, float64: every norm and every bias is in play."""
    d_model, d_ff, n_layers = sizes["d_model"], sizes["d_ff"], sizes["n_layers"]
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (sizes["vocab_size"], d_model)}
    for stack in ("encoder", "decoder"):
        shapes[f"{stack}_bias.weight"] = (sizes["n_buckets"], sizes["n_heads"])
        shapes[f"{stack}_norm.weight"] = (d_model,)
        for i in range(n_layers):
            name = f"{stack}.{i}"
            layers = ["attention"] + ["cross_attention"] * (stack == "decoder")
            shapes |= {f"{name}.{a}.{p}.weight": (d_model, d_model) for a in layers for p in ("q", "k", "v", "out")}
            norms = ["attention_norm"] + ["cross_norm"] * (stack == "decoder") + ["feed_forward_norm"]
            shapes |= {f"{name}.{norm}.weight": (d_model,) for norm in norms}
            shapes |= {
                f"{name}.feed_forward.up.weight": (d_ff, d_model),
                f"{name}.feed_forward.down.weight": (d_model, d_ff),
            }
    weights = {}
    for number, (name, shape) in enumerate(shapes.items()):
        std = 1.0 if "bias" in name or "norm" in name or name == "embedding.weight" else shape[-1] ** -0.5
        weights[name] = normal(shape, seed * 1000 + number, 0.3 * std if "norm" in name else std)
        if "norm" in name:
            weights[name] += 1
    return weights


@st.composite
def models(draw: st.DrawFn, min_layers: int = 1) -> tuple[dict[str, int], dict[str, Tensor]]:
    """(sizes, weights) of a small `Seq2Seq`."""
    n_heads = draw(st.integers(1, 3))
    sizes = {
        "vocab_size": draw(st.integers(5, 9)),
        "d_model": n_heads * draw(st.integers(2, 3)),
        "n_heads": n_heads,
        "n_layers": draw(st.integers(min_layers, 2)),
        "d_ff": draw(st.integers(3, 6)),
        "n_buckets": draw(st.sampled_from([8, 6])),
        "max_distance": draw(st.sampled_from([11, 128, 13])),
    }
    return sizes, weights_of(sizes, draw(draws.seeds()))


@st.composite
def models_and_inputs(
    draw: st.DrawFn, padded: bool = False, min_s: int = 2, min_t: int = 1, min_layers: int = 1
) -> tuple[dict[str, int], dict[str, Tensor], Tensor, Tensor, Tensor]:
    """(sizes, weights, src, src_mask, tgt_in); the first token of every source is real."""
    sizes, weights = draw(models(min_layers))
    batch = draw(st.integers(1, 3))
    src = draw(draws.token_ids((batch, draw(st.integers(min_s, 7))), sizes["vocab_size"]))
    tgt = draw(draws.token_ids((batch, draw(st.integers(min_t, 6))), sizes["vocab_size"]))
    mask = torch.ones_like(src, dtype=torch.bool)
    if padded:
        entries = draw(st.lists(st.booleans(), min_size=src.numel(), max_size=src.numel()))
        mask = torch.tensor(entries).reshape(src.shape)
        mask[:, 0] = True
    return sizes, weights, src, mask, tgt


def talkative(sizes: dict[str, int], seed: int, ids: Sequence[int]) -> dict[str, Tensor]:
    """Weights of a `Seq2Seq` that writes many different tokens, all of them among `ids`; d_model = d_ff = len(ids).

    Each of them has a channel of its own, and the feed-forward networks make of each token another one: of random
    weights alone, a greedy model repeats itself. What it writes depends on the source and on all that it has written.
    """
    n = len(ids)
    weights = weights_of(sizes, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    eye = torch.eye(n, dtype=torch.float64)
    for name, weight in weights.items():
        if name.endswith("norm.weight"):
            weight.fill_(1.0)
        elif name.endswith("out.weight"):
            weight.mul_(0.6)
        elif name.endswith("up.weight"):
            weight.copy_(eye)
        elif name.endswith("down.weight"):
            weight.copy_(2 * eye[order])
    weights["embedding.weight"].zero_()[torch.tensor(ids)] = eye
    return weights


def build(t5: Any, sizes: dict[str, int], weights: dict[str, Tensor]) -> Any:
    """A submission's `Seq2Seq` in float64 with these weights."""
    model = t5.Seq2Seq(t5.T5Config(**sizes))
    model.double()
    model.load_state_dict(weights)
    return model


def attended(
    x: Tensor, context: Tensor, weights: dict[str, Tensor], n_heads: int, mask: Tensor, bias: Tensor | None = None
) -> Tensor:
    """T5's attention, head by head: softmax(q k^T + bias) v. `mask` broadcasts to (B, 1, T, S)."""
    q, k, v = (F.linear(y, weights[f"{name}.weight"]) for name, y in (("q", x), ("k", context), ("v", context)))
    heads = []
    for h, (qh, kh, vh) in enumerate(zip(*(y.chunk(n_heads, dim=-1) for y in (q, k, v)), strict=True)):
        scores = qh @ kh.transpose(1, 2)
        if bias is not None:
            scores = scores + bias[:, h]
        heads.append(torch.softmax(scores.masked_fill(~mask[:, 0], -math.inf), dim=-1) @ vh)
    return F.linear(torch.cat(heads, dim=-1), weights["out.weight"])


def logits(sizes: dict[str, int], weights: dict[str, Tensor], src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor:
    """What a T5 with these weights returns, written down layer by layer."""

    def norm(x: Tensor, name: str) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weights[f"{name}.weight"]

    def part(name: str) -> dict[str, Tensor]:
        return {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}

    def feed_forward(x: Tensor, name: str) -> Tensor:
        return F.linear(torch.relu(F.linear(x, weights[f"{name}.up.weight"])), weights[f"{name}.down.weight"])

    n_heads, length, n_targets = sizes["n_heads"], src.shape[1], tgt_in.shape[1]
    sees = src_mask[:, None, None]
    positions = bias(weights["encoder_bias.weight"], length, True, sizes["max_distance"])
    x = weights["embedding.weight"][src]
    for i in range(sizes["n_layers"]):
        h = norm(x, f"encoder.{i}.attention_norm")
        x = x + attended(h, h, part(f"encoder.{i}.attention"), n_heads, sees, positions)
        x = x + feed_forward(norm(x, f"encoder.{i}.feed_forward_norm"), f"encoder.{i}.feed_forward")
    memory = norm(x, "encoder_norm")
    positions = bias(weights["decoder_bias.weight"], n_targets, False, sizes["max_distance"])
    causal = torch.ones(n_targets, n_targets).tril().bool()[None, None]
    x = weights["embedding.weight"][tgt_in]
    for i in range(sizes["n_layers"]):
        h = norm(x, f"decoder.{i}.attention_norm")
        x = x + attended(h, h, part(f"decoder.{i}.attention"), n_heads, causal, positions)
        h = norm(x, f"decoder.{i}.cross_norm")
        x = x + attended(h, memory, part(f"decoder.{i}.cross_attention"), n_heads, sees)
        x = x + feed_forward(norm(x, f"decoder.{i}.feed_forward_norm"), f"decoder.{i}.feed_forward")
    return norm(x, "decoder_norm") / sizes["d_model"] ** 0.5 @ weights["embedding.weight"].T
