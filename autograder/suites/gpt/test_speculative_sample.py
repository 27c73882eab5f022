"""speculative_sample: what comes out is distributed as the target's own tokens, and caches hold nothing else."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import TorchSeed, checks, draws, part
from autograder.suites.gpt.strategies import Config, config, greedy, logits_of, model_of, normal, table

MANY = 40_000  # a token of probability .2 that comes with .229 or more is caught with probability 1 - 1e-9


def law(target: Tensor, draft: Tensor, last: int, n_draft: int) -> dict[tuple[int, ...], float]:
    """The probability of every outcome (the new tokens) of Leviathan's algorithm, for tables of order 1.

    A token x is proposed and accepted with min(p, q); behind a rejection y comes with max(p - q, 0): the probability of
    a rejection and the sum that normalises cancel.
    """
    p, q = target.double().softmax(-1), draft.double().softmax(-1)
    both, rest = torch.minimum(p, q), (p - q).clamp(min=0)
    found: dict[tuple[int, ...], float] = {}
    for n in range(n_draft + 1):
        for tokens in itertools.product(range(len(p)), repeat=n + 1):
            steps = list(itertools.pairwise((last, *tokens)))
            chance = 1.0
            for a, b in steps[:-1]:
                chance *= float(both[a, b])
            a, b = steps[-1]
            found[tokens] = chance * float(p[a, b] if n == n_draft else rest[a, b])
    return found


def outcomes(returned: Any, n_draft: int, rows: int) -> list[tuple[int, ...]]:
    """The new tokens of each row; checks the form of what came back."""
    checks.holds(type(returned) is tuple and len(returned) == 2, "there are tokens and their numbers", returned)
    tokens, n_new = returned
    checks.tensor(tokens, shape=(rows, n_draft + 1), dtype=torch.int64)
    checks.tensor(n_new, shape=(rows,), dtype=torch.int64)
    checks.holds(
        bool(((n_new >= 1) & (n_new <= n_draft + 1)).all()), f"there are 1 to {n_draft + 1} tokens", n_new.unique()
    )
    behind = torch.arange(n_draft + 1) >= n_new[:, None]
    checks.equal(tokens[behind], torch.full_like(tokens[behind], -100))
    return [tuple(row[:n]) for row, n in zip(tokens.tolist(), n_new.tolist(), strict=True)]


def greedily(target: Tensor, draft: Tensor, n_draft: int) -> tuple[int, ...]:
    """The new tokens after 0 at temperature 0, for tables of order 1: the target's best ones, one more than agree."""
    best: list[int] = []
    while len(best) <= n_draft:
        last = best[-1] if best else 0
        best.append(int(target[last].argmax()))
        if int(draft[last].argmax()) != best[-1]:
            break
    return tuple(best)


@part("speculative_sample", points=1)
def test_the_outcome_has_the_right_law(gpt):
    """Every outcome, its tokens and how many there are, comes as often as the algorithm says, row by row; tokens are
    the target's."""
    # Rows of probabilities in which draft and target disagree on every token.
    target = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.7, 0.2], [0.3, 0.3, 0.4]], dtype=torch.float64).log()
    draft = torch.tensor([[0.2, 0.5, 0.3], [0.5, 0.3, 0.2], [0.6, 0.1, 0.3]], dtype=torch.float64).log()
    prompt = torch.tensor([[2, 0]]).expand(MANY, -1)
    for n_draft in (1, 2):
        models = table(gpt, target), table(gpt, draft)
        found = outcomes(gpt.speculative_sample(*models, prompt, n_draft, TorchSeed(n_draft)), n_draft, MANY)
        chances = law(target, draft, 0, n_draft)
        counts = {tokens: 0 for tokens in chances}
        for tokens in found:
            counts[tokens] = counts.get(tokens, 0) + 1
        checks.holds(len(counts) == len(chances), "all tokens are of the vocabulary", list(counts))
        first = torch.tensor([tokens[0] for tokens in found]).bincount(minlength=3).tolist()
        checks.frequencies(first, target[0].exp().tolist(), "the first of the new tokens")
        checks.frequencies(list(counts.values()), list(chances.values()), "the new tokens of a row")
        same = sum(a == b for a, b in zip(found[0::2], found[1::2], strict=True))
        checks.proportion(same, MANY // 2, sum(c * c for c in chances.values()), "two rows with the same outcome")


@part("speculative_sample", points=1)
@settings(max_examples=15)
@given(st.integers(2, 4), st.integers(1, 4), draws.seeds())
def test_a_draft_that_is_the_target_is_always_right(gpt, v, n_draft, seed):
    """A draft equal to the target has all its proposals accepted, and one token more; one that proposes the
    impossible has none."""
    logits = normal((v, v), seed)
    prompt = torch.zeros(50, 1, dtype=torch.int64)
    returned = gpt.speculative_sample(table(gpt, logits), table(gpt, logits), prompt, n_draft, TorchSeed(seed))
    outcomes(returned, n_draft, 50)
    checks.equal(returned[1], torch.full((50,), n_draft + 1))
    only = torch.full_like(logits, -torch.inf)
    only[:, 0] = 0.0
    other = logits.clone()
    other[:, 0] = -torch.inf
    returned = gpt.speculative_sample(table(gpt, other), table(gpt, only), prompt, n_draft, TorchSeed(seed))
    outcomes(returned, n_draft, 50)
    checks.equal(returned[1], torch.ones(50, dtype=torch.int64))
    checks.holds(bool((returned[0][:, 0] > 0).all()), "what the target excludes never comes", returned[0][:, 0])


@part("speculative_sample", points=1)
@settings(max_examples=15)
@given(st.integers(2, 4), st.integers(1, 3), st.sampled_from([0.3, 2.0]), draws.seeds())
def test_temperature_holds_for_both_models(gpt, v, n_draft, temperature, seed):
    """Draft and target are both tempered: equal models agree at every temperature, and at 0 the tokens are greedy."""
    logits, draft = normal((v, v), seed), normal((v, v), seed + 1)
    prompt = torch.zeros(200, 1, dtype=torch.int64)
    models = table(gpt, logits), table(gpt, logits)
    _, n_new = gpt.speculative_sample(*models, prompt, n_draft, TorchSeed(seed), temperature=temperature)
    checks.equal(n_new, torch.full((200,), n_draft + 1))
    models = table(gpt, logits), table(gpt, draft)
    returned = gpt.speculative_sample(*models, prompt[:3], n_draft, TorchSeed(seed), temperature=0.0)
    checks.equal(outcomes(returned, n_draft, 3), [greedily(logits, draft, n_draft)] * 3)


@part("speculative_sample", points=1)
@settings(max_examples=10)
@given(st.integers(1, 4), st.integers(1, 3), draws.seeds())
def test_the_target_is_asked_once(gpt, n_draft, rows, seed):
    """One call of the target judges all proposals of all rows."""
    logits, proposing = normal((3, 3), seed), normal((3, 3), seed + 1)
    target, draft = table(gpt, logits), table(gpt, proposing)
    prompt = torch.zeros(rows, 2, dtype=torch.int64)
    returned = gpt.speculative_sample(target, draft, prompt, n_draft, generator=TorchSeed(seed), temperature=0.0)
    checks.equal(outcomes(returned, n_draft, rows), [greedily(logits, proposing, n_draft)] * rows)
    checks.equal(target.calls, 1)


def rounds(gpt: Any, shapes: tuple[Config, Config], seed: int, n_draft: int, **options: Any) -> list[int]:
    """Three rounds with caches. After each of them the caches must be those of the text. Returns the whole text."""
    built = [model_of(gpt, c, seed + i, silent=True) for i, c in enumerate(shapes)]
    target, draft = (model for model, _ in built)
    caches = [gpt.new_cache(model, 1, c["context_length"]) for (model, _), c in zip(built, shapes, strict=True)]
    text = torch.tensor([[1, 2]])
    for _ in range(3):
        length = text.shape[1]
        tokens, n_new = gpt.speculative_sample(
            target, draft, text, n_draft, TorchSeed(seed), target_cache=caches[0], draft_cache=caches[1], **options
        )
        text = torch.cat((text, tokens[:, : int(n_new)]), dim=1)
        for (model, weights), cache, c in zip(built, caches, shapes, strict=True):
            held = cache.length
            # The draft has not seen its own last proposal, and the target's draw was seen by neither.
            checks.holds(
                length <= held < text.shape[1], f"the cache holds {length} to {text.shape[1] - 1} tokens", held
            )
            logits = model(text[:, held:], cache=cache)
            checks.close(logits, logits_of(weights, c, text)[:, held:], rtol=1e-7, atol=1e-7)
            cache.truncate(held)
    return text[0].tolist()


@part("speculative_sample", points=1)
@settings(max_examples=8)
@given(st.integers(1, 3), draws.seeds())
def test_caches_hold_only_what_was_accepted(gpt, n_draft, seed):
    """After each round both caches hold accepted tokens only, so that the next round, and the text, are right."""
    shapes = config(context_length=20), config(context_length=20, n_layers=1, n_heads=1)
    rounds(gpt, shapes, seed, n_draft)
    text = rounds(gpt, shapes, seed, n_draft, temperature=0.0)
    _, weights = model_of(gpt, shapes[0], seed, silent=True)
    checks.equal(text[2:], greedy(weights, shapes[0], [1, 2], len(text) - 2))
