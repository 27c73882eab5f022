"""chunk_tokens and get_batch: a stream of tokens as inputs and targets."""

from __future__ import annotations

from typing import Any

import numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part


@st.composite
def streams(draw: st.DrawFn) -> tuple[torch.Tensor, int]:
    """(ids, context_length) with at least one window."""
    context_length = draw(st.integers(1, 5))
    n = draw(st.integers(context_length + 1, 24))
    return draw(draws.token_ids((n,), 50)), context_length


@part("batches", points=2)
@settings(max_examples=25)
@given(streams())
def test_targets_are_the_inputs_one_token_later(gpt, case):
    """Window i holds the tokens from i * T on as inputs, and as targets the same window one token later in the
    stream."""
    ids, t = case
    m = (len(ids) - 1) // t
    windows = [ids[i * t : (i + 1) * t + 1] for i in range(m)]
    expected = torch.stack([w[:-1] for w in windows]), torch.stack([w[1:] for w in windows])
    checks.equal(gpt.chunk_tokens(ids, t), expected)


@part("batches", points=1)
@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_the_last_window_is_not_lost(gpt, t, m, data):
    """A stream of m * T + 1 tokens has m windows, in which every token but the first is a target exactly once."""
    ids = data.draw(draws.token_ids((m * t + 1,), 50))
    x, y = gpt.chunk_tokens(ids, context_length=t)
    checks.tensor(x, shape=(m, t), dtype=torch.int64)
    checks.equal(y.flatten(), ids[1:])


@part("batches", points=1)
@settings(max_examples=25)
@given(
    st.sampled_from(["uint16", "int32", "int64", "torch.int64", "torch.int32"]),
    st.integers(1, 5), st.integers(1, 4), st.integers(0, 6), draws.seeds(),
)  # fmt: skip
def test_batches_are_int64_whatever_the_data(gpt, kind, t, batch, more, seed):
    """Rows are windows of the data and their targets, int64 from tensors and arrays of any integers; a single window
    works."""
    n = t + 1 + more
    start = 60_000 if kind == "uint16" else 100_000
    numbers = numpy.arange(start, start + n)
    data: Any = (
        numbers.astype(kind)
        if not kind.startswith("torch.")
        else torch.from_numpy(numbers).to(getattr(torch, kind[6:]))
    )
    x, y = gpt.get_batch(data, batch, t, generator=TorchSeed(seed))
    checks.tensor(x, shape=(batch, t), dtype=torch.int64)
    checks.tensor(y, shape=(batch, t), dtype=torch.int64)
    inside = bool(((x[:, 0] >= start) & (x[:, 0] <= start + more)).all())
    checks.holds(inside, f"every window starts at one of tokens 0 to {more}", x[:, 0] - start)
    checks.equal(x, x[:, :1] + torch.arange(t))
    checks.equal(y, x + 1)


@part("batches", points=2)
def test_every_start_is_equally_likely(gpt):
    """Rows start at tokens 0 to N - T - 1, each equally often and independently of the rows before."""
    batch = 40_000  # a start of 1/7 that comes with .168 or more is caught with probability 1 - 1e-9
    for seed, (n, t) in enumerate([(8, 1), (12, 4)]):
        x, _ = gpt.get_batch(torch.arange(n), batch, t, generator=TorchSeed(seed))
        starts = x[:, 0]
        checks.holds(bool(((starts >= 0) & (starts < n - t)).all()), f"starts are 0 to {n - t - 1}", starts.unique())
        checks.frequencies(starts.bincount(minlength=n - t).tolist(), [1 / (n - t)] * (n - t), "the starts of windows")
        pairs = starts[0::2] * (n - t) + starts[1::2]
        counts = pairs.bincount(minlength=(n - t) ** 2).tolist()
        checks.frequencies(counts, [1 / (n - t) ** 2] * (n - t) ** 2, "the starts of two rows together")


@part("batches", points=1)
@settings(max_examples=25)
@given(draws.seeds())
def test_the_generator_decides_the_batch(gpt, seed):
    """The state of the generator decides the batch, and drawing moves it on: the next batch is another one."""
    data = torch.arange(1000)
    first = gpt.get_batch(data, 8, 3, generator=TorchSeed(seed))
    checks.equal(first, (first[0][:, :1] + torch.arange(3), first[0] + 1))
    checks.equal(gpt.get_batch(data, 8, 3, generator=TorchSeed(seed)), first)
    kept = gpt.keep(TorchSeed(seed))
    checks.equal(gpt.get_batch(data, 8, 3, generator=kept), first)
    second = gpt.get_batch(data, 8, 3, generator=kept)  # the same 8 of 997 starts again: below 1e-23
    checks.holds(not torch.equal(second[0], first[0]), "the next batch is another one", second, first)
