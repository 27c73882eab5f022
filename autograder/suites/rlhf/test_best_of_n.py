"""best_of_n, best_of_n_kl and expected_best_of_n: choosing the best of many, and what it costs and brings."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part, raises

NAME = "best_of_n"


@part(NAME, points=1)
@settings(max_examples=40)
@given(st.data())
def test_the_first_of_the_best_is_chosen(rlhf, data):
    """best_of_n gives the index (int64) of the largest reward of each row, the first of those that tie."""
    b, n = data.draw(draws.lengths(1, 3)), data.draw(draws.lengths(1, 5))
    rows = data.draw(st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=b, max_size=b))
    expected = torch.tensor([row.index(max(row)) for row in rows])
    checks.equal(rlhf.best_of_n(torch.tensor(rows, dtype=torch.float32)), expected)


@part(NAME, points=1)
@settings(max_examples=30)
@given(st.one_of(st.integers(1, 10), st.integers(1, 10**6)), st.integers(-3, 0))
def test_divergence_of_the_best_of_n(rlhf, n, too_few):
    """best_of_n_kl(n) is ln n - (n - 1) / n nats; n < 1 raises ValueError."""
    checks.close(rlhf.best_of_n_kl(n), math.log(n) - (n - 1) / n, rtol=1e-9, atol=1e-12)
    with raises("ValueError"):
        rlhf.best_of_n_kl(too_few)


@part(NAME, points=2)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=1, max_side=7)), st.data())
def test_expectation_is_the_mean_over_all_subsets(rlhf, rewards, data):
    """expected_best_of_n is the mean, over all subsets of n of the rewards, of the largest in each; ties too."""
    n = data.draw(st.integers(1, len(rewards)))

    def mean(rewards: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.stack(chosen).max() for chosen in combinations(rewards.unbind(), n)]).mean()

    checks.agrees(rlhf.expected_best_of_n(rewards, n), mean, rewards)


@part(NAME, points=1, kind="self-reported")
@settings(max_examples=30)
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=1, max_side=8), dtype=torch.float64))
def test_the_best_of_one_is_the_mean_and_of_all_the_largest(rlhf, rewards):
    """n = 1 gives the mean and n = M the maximum; other n raise ValueError; the rewards stay in their order."""
    m = len(rewards)
    one, after, _ = rlhf.echo(rlhf.expected_best_of_n, rewards, 1)
    checks.close(one, rewards.mean(), rtol=1e-9, atol=1e-12)
    checks.equal(after[0], rewards)
    checks.close(rlhf.expected_best_of_n(rewards, m), rewards.max(), rtol=1e-9, atol=1e-12)
    for n in (0, m + 1):
        with raises("ValueError"):
            rlhf.expected_best_of_n(rewards, n)


@part(NAME, points=2)
@settings(max_examples=8)
@given(st.sampled_from([600, 2000, 4000]), st.sampled_from([1, 2, 30, 300, 550]), draws.seeds())
def test_thousands_of_rewards_do_not_overflow(rlhf, m, n, seed):
    """With thousands of rewards the binomials have hundreds of digits, and the expectation is still right."""
    rewards = torch.randn(m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights, total = [], math.comb(m, n)
    subsets = 1  # C(i - 1, n - 1) for i = n: of whole numbers, each made from the one before
    for i in range(n, m + 1):
        weights.append(subsets / total)
        subsets = subsets * i // (i - n + 1)
    best = rewards.sort().values[n - 1 :] @ torch.tensor(weights, dtype=torch.float64)
    checks.close(rlhf.expected_best_of_n(rewards, n), best, rtol=1e-7, atol=1e-9)
