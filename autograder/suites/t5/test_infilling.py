"""text_infilling: the budget, one mask a span, and the whole distribution by enumeration."""

from __future__ import annotations

import math

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part
from autograder.suites.t5.strategies import distribution, infilled, is_subsequence, special_masks

NAME = "text_infilling"
MASK = 90
RATIOS = st.one_of(st.sampled_from([0.1, 0.3, 0.5, 1.0]), st.floats(0.02, 1.0))
LAMBDAS = st.one_of(st.sampled_from([3.0, 1.0, 0.3, 8.0]), st.floats(0.3, 10.0))


def budget(ratio: float, n: int) -> int:
    assume(abs(ratio * n - round(ratio * n)) > 1e-6 or ratio * n == round(ratio * n))
    return math.ceil(ratio * n)


@part(NAME, points=2)
@given(st.integers(1, 20), RATIOS, LAMBDAS, draws.seeds())
def test_exactly_the_budget_is_taken(t5, n, ratio, poisson_lambda, seed):
    """Leave the masks out, and what remains is the text without exactly ceil(ratio * n) of its tokens, in order."""
    tokens = torch.arange(100, 100 + n)
    out, after, _ = t5.echo(t5.text_infilling, tokens, ratio, poisson_lambda, mask_id=MASK, generator=TorchSeed(seed))
    checks.equal(after[0], tokens)
    checks.tensor(out, dtype=torch.int64)
    rest = out[out != MASK].tolist()
    checks.holds(is_subsequence(rest, tokens.tolist()), "what is no mask is the text in its order", out)
    checks.holds(
        len(rest) == n - budget(ratio, n),
        f"exactly {budget(ratio, n)} tokens of {n} are gone",
        n - len(rest),
        budget(ratio, n),
    )
    checks.holds(len(rest) < len(out), "there is at least one mask", out)


@part(NAME, points=1)
@settings(max_examples=30)
@given(st.integers(2, 20), st.floats(0.05, 1.0), draws.seeds())
def test_a_long_span_is_one_mask(t5, n, ratio, seed):
    """With a mean far above the budget there is one span: ONE mask in place of neighbouring tokens, as many as the
    budget.
    """
    tokens = torch.arange(100, 100 + n)
    out = t5.text_infilling(tokens, ratio, 1000.0, mask_id=MASK, generator=TorchSeed(seed)).tolist()
    gone = budget(ratio, n)
    checks.holds(out.count(MASK) == 1 and len(out) == n - gone + 1, "there is one mask", out)
    place = out.index(MASK)
    checks.equal(out, [*range(100, 100 + place), MASK, *range(100 + place + gone, 100 + n)])


@part(NAME, points=1)
def test_every_result_has_the_right_probability(t5):
    """Of 4 tokens 2 are taken with a mean of 1: each result comes as often as enumeration says, empty spans and
    neighbours too.
    """
    text = [100, 101, 102, 103]
    generator = t5.keep(TorchSeed(8))
    tokens, n = torch.tensor(text), 1000
    found = distribution(
        lambda: t5.text_infilling(tokens, 0.5, poisson_lambda=1.0, mask_id=MASK, generator=generator), n
    )
    by_result = infilled(text, 2, 1.0, MASK, most=4)
    likely = sorted((p, result) for result, p in by_result.items() if p > 0.004)[::-1]
    observed = [found[result] for _, result in likely]
    expected = [p for p, _ in likely]
    # 1000 draws catch, with probability 1 - 1e-9, 0.27 instead of 0.1, and a result of 0.035 that never comes.
    checks.frequencies([*observed, n - sum(observed)], [*expected, 1 - sum(expected)], "the frequencies of the results")
    spans = [sum(n for result, n in found.items() if result.count(MASK) == k) for k in (1, 2)]
    exact = [sum(p for result, p in infilled(text, 2, 1.0, MASK, 2).items() if result.count(MASK) == k) for k in (1, 2)]
    checks.frequencies([*spans, n - sum(spans)], [*exact, 1 - sum(exact)], "the numbers of masks 1, 2 and more")


@part(NAME, points=1)
def test_the_spans_come_in_every_order(t5):
    """Of 2 tokens 1 is taken with a mean of 0.5: an empty span may come after the one that used up the budget, too."""
    generator = t5.keep(TorchSeed(12))
    tokens = torch.tensor([100, 101])
    found = distribution(
        lambda: t5.text_infilling(tokens, 0.5, poisson_lambda=0.5, mask_id=MASK, generator=generator), 1000
    )
    exact = {result: p for result, p in infilled([100, 101], 1, 0.5, MASK, most=3).items() if len(result) < 4}
    observed = [found[result] for result in exact]
    # 1000 draws catch, with probability 1 - 1e-9, a result that never comes though it should in 0.04 of them.
    checks.frequencies(
        [*observed, 1000 - sum(observed)], [*exact.values(), 1 - sum(exact.values())], "the frequencies of the results"
    )


@part(NAME, points=1)
@settings(max_examples=100)
@given(st.integers(1, 14), RATIOS, st.sampled_from([0.2, 0.5, 1.0, 3.0]), draws.seeds(), st.data())
def test_special_tokens_stay_where_they_belong(t5, n, ratio, poisson_lambda, seed, data):
    """Special tokens all stay in order, no mask is outside them at either end, and they do not count in the budget."""
    special = data.draw(special_masks(n))
    tokens = torch.arange(100, 100 + n)
    out = t5.text_infilling(
        tokens, ratio, poisson_lambda, mask_id=MASK, generator=TorchSeed(seed), special_mask=special
    )
    checks.tensor(out, dtype=torch.int64)
    rest = out[out != MASK].tolist()
    ordinary = int((~special).sum())
    checks.holds(is_subsequence(rest, tokens.tolist()), "what is no mask is the text in its order", out)
    checks.holds(len(rest) == n - budget(ratio, ordinary), "exactly the budget is gone", n - len(rest))
    checks.holds(set(tokens[special].tolist()) <= set(rest), "every special token is there", out)
    before = special.long().cumprod(0).sum()
    after = special.flip(0).long().cumprod(0).sum() if before < n else 0
    checks.equal(out[:before], tokens[:before])
    checks.equal(out[len(out) - after :], tokens[n - after :])


@part(NAME, points=1)
@settings(max_examples=15)
@given(st.integers(0, 12), LAMBDAS, draws.seeds())
def test_a_ratio_of_zero_changes_nothing(t5, n, poisson_lambda, seed):
    """A ratio of 0, and a text of special tokens alone or of none, come back as they are; the generator decides
    everything else.
    """
    tokens = torch.arange(100, 100 + n)
    checks.equal(t5.text_infilling(tokens, 0.0, poisson_lambda, mask_id=MASK, generator=TorchSeed(seed)), tokens)
    special = torch.ones(n, dtype=torch.bool)
    checks.equal(t5.text_infilling(tokens, 0.7, poisson_lambda, mask_id=MASK, special_mask=special), tokens)
    long = torch.arange(100, 140)
    one, two = (t5.text_infilling(long, mask_id=MASK, generator=TorchSeed(seed)) for _ in range(2))
    checks.equal(two, one)
    checks.holds(int((one != MASK).sum()) == 28, "12 of 40 tokens are gone at the default ratio", one)
