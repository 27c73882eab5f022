"""What the tests of `rlhf` draw, and independent oracles made of plain loops and torch's own operations."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import Given, TorchSeed, draws

MAX_DRAWN_ENTRIES = 12
ALL_DTYPES = draws.float_dtypes(half=True)


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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
def real_tokens(draw: st.DrawFn, b: int, t: int, min_real: int = 1) -> Tensor:
    """A mask (B, T) with padding on the right, on the left, or anywhere, and `min_real` tokens or more in each row."""
    where = draw(st.sampled_from(["right", "left", "anywhere"]))
    if where != "anywhere":
        lengths = draw(st.lists(st.integers(min_real, t), min_size=b, max_size=b))
        mask = torch.arange(t) < torch.tensor(lengths)[:, None]
        return mask if where == "right" else mask.flip(1)
    mask = draw(bools((b, t))).clone()
    for row in range(b if min_real else 0):
        if not mask[row].any():
            mask[row, draw(st.integers(0, t - 1))] = True
    return mask


@st.composite
def sizes(draw: st.DrawFn, max_b: int = 3, max_t: int = 5, min_t: int = 1) -> tuple[int, int]:
    """(B, T), of which either is often 1."""
    return draw(draws.lengths(1, max_b)), draw(draws.lengths(min_t, max_t))


@st.composite
def garbage(draw: st.DrawFn, like: Tensor) -> Tensor:
    """Ten thousand with either sign, in the shape and dtype of a tensor."""
    signs = torch.randint(0, 2, like.shape, generator=torch.Generator().manual_seed(draw(draws.seeds())))
    return ((2 * signs - 1) * 1e4).to(like.dtype)


@st.composite
def token_tensors(
    draw: st.DrawFn, n: int, dtype: Any = torch.float64, min_t: int = 1, min_real: int = 1, elements: Any = "normal"
) -> tuple[tuple[Tensor, ...], Tensor]:
    """(`n` tensors (B, T) of floats, a mask of real tokens)."""
    b, t = draw(sizes(min_t=min_t))
    kind = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    tensors = tuple(draw(draws.tensors((b, t), dtype=kind, elements=elements)) for _ in range(n))
    return tensors, draw(real_tokens(b, t, min_real))


@st.composite
def log_ratios(draw: st.DrawFn, min_real: int = 1, min_t: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """(logp, old_logp, mask) in float64: ratios in the interval, above and below it, away from its ends, and 1."""
    b, t = draw(sizes(max_t=4, min_t=min_t))
    count = b * t
    choices = st.sampled_from([1.0, 1.1, 0.9, 1.5, 0.5, 3.0, 0.1])
    ratios = torch.tensor(draw(st.lists(choices, min_size=count, max_size=count)), dtype=torch.float64).reshape(b, t)
    old = -normal((b, t), draw(draws.seeds())).abs()
    return old + ratios.log(), old, draw(real_tokens(b, t, min_real))


# --- rankings and reward models


@st.composite
def rankings(draw: st.DrawFn, absent: bool = True, ties: bool = False) -> tuple[Tensor, Tensor]:
    """(rewards, ranks) of shape (B, K), every prompt with at least one pair; -1 for completions that are absent."""
    b, k = draw(draws.lengths(1, 3)), draw(st.integers(2, 4))
    rewards = draw(draws.tensors((b, k), dtype=torch.float64))
    rows = []
    for _ in range(b):
        here = draw(st.integers(2, k)) if absent else k
        best = list(range(here)) if not ties else [0, *draw(st.lists(st.integers(0, 2), min_size=here - 1,
                                                                    max_size=here - 1))]  # fmt: skip
        if len(set(best)) == 1:
            best[-1] = 1
        rows.append(draw(st.permutations(best + [-1] * (k - here))))
    return rewards, torch.tensor(rows)


def ranking_loss(rewards: Tensor, ranks: Tensor) -> Tensor:
    """`kwise_ranking_loss` by loops; zero with a gradient where there is no pair."""
    per_prompt = []
    for row, order in zip(rewards, ranks.tolist(), strict=True):
        pairs = [
            torch.nn.functional.softplus(row[j] - row[i])
            for i, a in enumerate(order)
            for j, b in enumerate(order)
            if 0 <= a < b
        ]
        if pairs:
            per_prompt.append(torch.stack(pairs).mean())
    return torch.stack(per_prompt).mean() if per_prompt else (rewards * 0).sum()


def build(rlhf: Any, embed: Tensor, head: Tensor) -> Any:
    """A submission's `RewardModel` in float64 on the package's `RunningSum`, with these weights."""
    vocab_size, d_model = embed.shape
    model = rlhf.RewardModel(rlhf.make(Given("policies.RunningSum"), vocab_size, d_model), d_model)
    model.double()
    model.load_state_dict({"backbone.embed.weight": embed, "head.weight": head})
    return model


@st.composite
def reward_models(draw: st.DrawFn, min_b: int = 1, min_t: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(embed (V, C), head (1, C), input_ids (B, T), mask): what a `RewardModel` is built of, and a batch for it."""
    vocab_size, d_model, seed = draw(st.integers(2, 5)), draw(st.integers(1, 4)), draw(draws.seeds())
    b, t = draw(st.integers(min_b, 3)), draw(draws.lengths(min_t, 6))
    ids = draw(draws.token_ids((b, t), vocab_size))
    return normal((vocab_size, d_model), seed), normal((1, d_model), seed + 1), ids, draw(real_tokens(b, t))


def scores(embed: Tensor, head: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
    """What that model says: each real token has the weight embed @ head, and a text the sum of its tokens'."""
    return ((embed @ head[0])[input_ids] * mask).sum(1)


# --- what training is tested with

LETTERS = 8  # of the texts that reward models learn from; ids 0 and 1 are padding and the end
VOCAB = LETTERS + 2


def known_weights(seed: int) -> Tensor:
    """Weights of a known reward: evenly spread over the letters in a random order, so that every draw is as hard."""
    order = torch.randperm(LETTERS, generator=torch.Generator().manual_seed(seed))
    return torch.cat((torch.zeros(2), torch.linspace(-2, 2, LETTERS)[order]))


def new_reward_model(rlhf: Any, seed: int, vocab_size: int = VOCAB, d_model: int = 8) -> Any:
    """A submission's `RewardModel`, untrained."""
    body = rlhf.make(Given("policies.RunningSum"), vocab_size, d_model, seed)
    return rlhf.RewardModel(body, d_model, generator=TorchSeed(seed))
