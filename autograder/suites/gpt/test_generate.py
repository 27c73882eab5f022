"""generate: greedy and drawn texts, the end of a text, the edge of the context."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import Given, TorchSeed, checks, draws, part, race
from autograder.suites.gpt.strategies import config, continuations, greedy, model_of, models_and_ids, table


def texts(weights: Any, config: Any, ids: Tensor, n: int) -> Tensor:
    """Prompts and greedy continuations by the independent GPT."""
    return torch.tensor([[*row, *greedy(weights, config, row, n)] for row in ids.tolist()])


@part("generate", points=2)
@settings(max_examples=60)
@given(models_and_ids(context_length=8), st.data())
def test_greedy_takes_the_best_token_each_time(gpt, case, data):
    """At temperature 0 every row is its prompt and then the best token each time, with the cache and without, and so is
    the next text of the same model."""
    config, seed, ids = case
    ids = ids[:, :5]
    model, weights = model_of(gpt, config, seed)
    n = data.draw(st.integers(0, 8 - ids.shape[1]))
    expected = texts(weights, config, ids, n)
    checks.equal(gpt.generate(model, ids, n, temperature=0.0), expected)
    checks.equal(gpt.generate(model, ids, max_new_tokens=n, temperature=0.0, use_cache=False), expected)
    checks.equal(gpt.generate(model, ids[:, -1:], 2, temperature=0.0), texts(weights, config, ids[:, -1:], 2))


@part("generate", points=1)
@settings(max_examples=20)
@given(models_and_ids(vocab_size=12), st.integers(1, 6), st.integers(0, 3), st.data())
def test_a_text_may_grow_past_the_context(gpt, case, more, longer, data):
    """Past the context the model sees the last context_length tokens, at positions from 0 on; a cache makes no
    difference."""
    config, seed, _ = case
    model, weights = model_of(gpt, config, seed)
    context = config["context_length"]
    length = data.draw(st.sampled_from([1, context - 1, context, context + longer]))
    ids = data.draw(draws.token_ids((2, length), config["vocab_size"]))
    n = max(context - length, 0) + more
    expected = texts(weights, config, ids, n)
    checks.equal(gpt.generate(model, ids, n, temperature=0.0), expected)
    checks.equal(gpt.generate(model, ids, n, temperature=0.0, use_cache=False), expected)
    circle = gpt.make(Given("tables.TableModel"), follow([1, 2, 3, 4, 0]), context)  # never twice the same token
    expected = (torch.arange(length + n)[None] + torch.tensor([[0], [3]])) % 5
    checks.equal(gpt.generate(circle, expected[:, :length], n, temperature=0.0, use_cache=False), expected)


def follow(successors: list[int]) -> Tensor:
    """A table in which each token has one successor."""
    logits = torch.zeros(len(successors), len(successors))
    logits[torch.arange(len(successors)), torch.tensor(successors)] = 50.0
    return logits


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[int], Tensor, int, int]:
    """(successors, prompts (B, T), eos_id, n): a table of order 1 and what it is asked. On a circle every row ends."""
    v = draw(st.integers(3, 6))
    if draw(st.booleans()):
        successors = draw(st.lists(st.integers(0, v - 1), min_size=v, max_size=v))
    else:
        circle = draw(st.permutations(range(v)))
        successors = [circle[(circle.index(i) + 1) % v] for i in range(v)]
    prompts = draw(draws.token_ids((draw(st.integers(1, 4)), draw(st.integers(1, 3))), v))
    return successors, prompts, draw(st.integers(0, v - 1)), draw(st.integers(0, 7))


def chain_rows(successors: list[int], prompts: Tensor, eos_id: int | None, n: int) -> list[list[int]]:
    """New tokens of each row, up to eos_id, where there is one."""
    rows = []
    for prompt in prompts.tolist():
        new: list[int] = []
        while len(new) < n and eos_id not in new:
            new.append(successors[(prompt + new)[-1]])
        rows.append(new)
    return rows


@part("generate", points=1)
@settings(max_examples=25)
@given(chains(), st.sampled_from([None, 0, 7]))
def test_a_finished_row_is_padded(gpt, case, pad_id):
    """A row that has drawn eos_id keeps it and is filled with pad_id (eos_id, if there is none); the other rows go
    on."""
    successors, prompts, eos_id, n = case
    pad_id = None if pad_id is None else pad_id % len(successors)
    rows = chain_rows(successors, prompts, eos_id, n)
    width = max(map(len, rows))
    pad = eos_id if pad_id is None else pad_id
    expected = torch.tensor(
        [[*p, *row, *[pad] * (width - len(row))] for p, row in zip(prompts.tolist(), rows, strict=True)]
    )
    model = table(gpt, follow(successors))
    out = gpt.generate(model, prompts, n, eos_id=eos_id, pad_id=pad_id, use_cache=False, temperature=0.0)
    checks.tensor(out, dtype=torch.int64)
    checks.holds(out.shape[0] == len(rows) and out.shape[1] >= expected.shape[1], "no row is cut short", out, expected)
    checks.equal(out[:, : expected.shape[1]], expected)
    rest = out[:, expected.shape[1] :]
    checks.equal(rest, torch.full_like(rest, pad))


@part("generate", points=1)
@settings(max_examples=25)
@given(chains())
def test_it_ends_when_every_row_is_finished(gpt, case):
    """There are max_new_tokens new columns, or fewer where every row is finished before; without eos_id all of them."""
    successors, prompts, eos_id, n = case
    model = table(gpt, follow(successors))
    for end in (eos_id, None):
        rows = chain_rows(successors, prompts, end, n)
        width = max(map(len, rows))
        filled = [[*row, *[eos_id] * (width - len(row))] for row in rows]
        out = gpt.generate(model, prompts, n, eos_id=end, use_cache=False, temperature=0.0)
        checks.equal(tuple(out.shape), (len(prompts), prompts.shape[1] + width))
        checks.equal(out, torch.cat((prompts, torch.tensor(filled, dtype=torch.int64).view(len(rows), width)), dim=1))


@part("generate", points=1)
def test_sampling_options_are_obeyed(gpt):
    """Two tokens drawn for each of many rows come together as often as the model and the sampling options say."""
    logits = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.3, 0.2], [0.25, 0.35, 0.4]], dtype=torch.float64).log()
    model = table(gpt, logits)
    many = 40_000  # two tokens of probability .1 that come with .122 or more are caught with probability 1 - 1e-9
    for number, (options, change) in enumerate([
        ({}, logits),
        ({"temperature": 0.5}, logits * 2),
        ({"top_k": 2}, logits.masked_fill(logits < logits.topk(2).values[:, -1:], -torch.inf)),
        ({"top_p": 0.55}, logits.masked_fill(torch.tensor([[1, 0, 1], [0, 0, 1], [1, 0, 0]]).bool(), -torch.inf)),
    ]):  # fmt: skip
        prompts = torch.tensor([[1, 2]]).expand(many, -1)
        out = gpt.generate(model, prompts, 2, use_cache=False, generator=TorchSeed(number), **options)
        checks.tensor(out, shape=(many, 4), dtype=torch.int64)
        expected = {tokens: float(torch.tensor(log_p).exp()) for tokens, log_p in continuations(change, 2, 2)}
        found = (out[:, 2] * 3 + out[:, 3]).bincount(minlength=9).tolist()
        checks.frequencies(found, [expected[divmod(i, 3)] for i in range(9)], f"the next two tokens at {options}")


@part("generate", points=1)
@settings(max_examples=10)
@given(models_and_ids(context_length=8), st.booleans())
def test_the_mode_of_the_model_is_restored(gpt, case, mode):
    """Dropout is off while a text is generated; afterwards the model is in the mode that it was in."""
    config, seed, ids = case
    ids = ids[:, :4]
    model, weights = model_of(gpt, config | {"dropout": 0.5}, seed)
    model.train(mode)
    checks.equal(gpt.generate(model, ids, 4, temperature=0.0), texts(weights, config, ids, 4))
    checks.equal(model.training, mode)


@part("generate", kind="advisory")
def test_speed_of_generating_with_a_cache(gpt):
    """Writing 60 tokens with a cache, in times of the reference."""

    def ready(solution):
        model, _ = model_of(solution, config(vocab_size=64, context_length=128, d_model=64, n_heads=4, n_layers=4), 1)
        return lambda n: solution.generate(model, torch.arange(n, n + 8)[None], 60, temperature=0.0)

    checks.equal(*race(ready, gpt))
