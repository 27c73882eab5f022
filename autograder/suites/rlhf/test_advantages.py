"""masked_mean, whiten, gae and group_advantages: how much better a token, or a text, was than expected."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws, part, raises
from autograder.suites.rlhf.strategies import ALL_DTYPES, garbage, token_tensors

MASKED, GAE, GROUPS = "masked_statistics", "gae", "group_advantages"
FACTORS = st.sampled_from([0.0, 0.5, 0.9, 0.95, 1.0])


def mean(x: Tensor, mask: Tensor, dim: int | None = None) -> Tensor:
    total, count = torch.where(mask, x, 0.0).sum(dim), mask.sum(dim)
    return torch.where(count > 0, total / count.clamp(min=1), 0.0)


@part(MASKED, points=1)
@given(token_tensors(1, dtype=ALL_DTYPES), st.sampled_from([None, 0, 1, -1]), st.data())
def test_the_mean_of_what_counts(rlhf, case, dim, data):
    """masked_mean is the mean where the mask is True, over everything or along one dimension, whatever is elsewhere."""
    (x,), mask = case
    filled = torch.where(mask, x, data.draw(garbage(x)))
    returned = rlhf.masked_mean(filled, mask) if dim is None else rlhf.masked_mean(filled, mask, dim=dim)
    checks.agrees(returned, lambda x: mean(x, mask, dim).to(x.dtype), torch.where(mask, x, torch.zeros_like(x)))


@part(MASKED, points=1)
@settings(max_examples=30)
@given(token_tensors(1, min_real=0), st.booleans())
def test_the_mean_of_nothing_is_zero(rlhf, case, nothing):
    """A row, or a whole batch, without a True has the mean 0, not NaN, and gradient 0."""
    (x,), mask = case
    mask = mask.clone()
    mask[-1] = False
    if nothing:
        mask[:] = False
    cotangent = torch.ones(len(x), dtype=torch.float64)
    result, grads = rlhf.vjp(rlhf.masked_mean, x, mask, cotangent=cotangent, wrt=[0], dim=1)
    checks.close(result, mean(x, mask, 1), rtol=1e-9, atol=1e-12)
    checks.close(grads, [mask / mask.sum(1, keepdim=True).clamp(min=1).double()], rtol=1e-9)
    checks.close(rlhf.masked_mean(x, mask), mean(x, mask), rtol=1e-9, atol=1e-12)


def white(x: Tensor, mask: Tensor, eps: float) -> Tensor:
    """By the list of real entries."""
    real = x[mask]
    deviation = real.std() if len(real) > 1 else torch.zeros((), dtype=x.dtype)
    return torch.where(mask, (x - (real.mean() if len(real) else 0.0)) / (deviation + eps), 0.0)


@part(MASKED, points=1)
@given(token_tensors(1), st.sampled_from([1e-6, 0.5, 1.0]), st.data())
def test_whitening_uses_the_real_entries_of_all_rows(rlhf, case, eps, data):
    """whiten gives (x - mean) / (std + eps) with the unbiased std of all real entries together, and 0 elsewhere."""
    (x,), mask = case
    x = x + torch.arange(x.numel()).reshape(x.shape) * 10  # no two alike
    returned = rlhf.whiten(torch.where(mask, x, data.draw(garbage(x))), mask, eps=eps)
    checks.close(returned, white(x, mask, eps), rtol=1e-6, atol=1e-6)


@part(MASKED, points=1)
@settings(max_examples=30)
@given(token_tensors(1, min_real=0, elements="small_ints"), st.integers(-3, 3), st.sampled_from(["same", "one", "no"]))
def test_whitening_what_does_not_vary_gives_zeros(rlhf, case, value, how):
    """Real entries that are all the same, a single one, or none: zeros, not NaN; then a batch that does vary."""
    (x,), mask = case
    few = torch.zeros_like(mask)
    if how == "one":
        few[0, 0] = True
    same = torch.full_like(x, float(value))
    constant = rlhf.whiten(same, mask) if how == "same" else rlhf.whiten(x, few)
    checks.close(constant, torch.zeros_like(x), atol=1e-9)
    y = torch.tensor([[float(value), value + 2.0, 9.0]], dtype=torch.float64)
    real = torch.tensor([[True, True, False]])
    checks.close(rlhf.whiten(y, real), white(y, real, 1e-6), rtol=1e-6)


# --- generalised advantage estimates


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Row by row: the double sum over the real tokens alone."""
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for row in range(len(mask)):
        places = mask[row].nonzero().flatten().tolist()
        for k, t in enumerate(places):
            total = 0.0
            for later in range(k, len(places)):
                after = values[row, places[later + 1]] if later + 1 < len(places) else 0.0
                delta = rewards[row, places[later]] + gamma * after - values[row, places[later]]
                total = total + (gamma * lam) ** (later - k) * delta
            advantages[row, t] = total
            returns[row, t] = total + values[row, t]
    return advantages, returns


@part(GAE, points=2)
@given(token_tensors(2, dtype=draws.float_dtypes(half=True)), FACTORS, FACTORS)
def test_advantages_are_the_sum_of_discounted_surprises(rlhf, case, gamma, lam):
    """A_t is the sum over later tokens of (gamma lam)^k delta, delta = r + gamma V' - V; the last V' is 0."""
    (rewards, values), mask = case
    checks.agrees(
        rlhf.gae(rewards, values, mask, gamma, lam), lambda r, v: gae(r, v, mask, gamma, lam), rewards, values
    )


@part(GAE, points=1)
@settings(max_examples=30)
@given(token_tensors(2), FACTORS)
def test_lambda_chooses_between_returns_and_surprises(rlhf, case, gamma):
    """With lam = 1 returns are the discounted rewards to come; with lam = 0 advantages are one-step surprises."""
    (rewards, values), mask = case
    monte_carlo = gae(rewards, torch.zeros_like(values), mask, gamma, 1.0)[0]
    advantages, returns = rlhf.gae(rewards, values, mask, gamma=gamma, lam=1.0)
    checks.close(returns, monte_carlo, rtol=1e-9, atol=1e-9)
    checks.close(advantages, torch.where(mask, monte_carlo - values, 0.0), rtol=1e-9, atol=1e-9)
    checks.close(rlhf.gae(rewards, values, mask, gamma, 0.0), gae(rewards, values, mask, gamma, 0.0), atol=1e-9)


@part(GAE, points=1)
@settings(max_examples=30)
@given(token_tensors(2), st.data())
def test_padding_is_passed_over(rlhf, case, data):
    """Rewards and values in the padding change nothing, and every real token gets what it would get without it."""
    (rewards, values), mask = case
    filled = [torch.where(mask, x, data.draw(garbage(x))) for x in (rewards, values)]
    returned = rlhf.gae(*filled, mask)
    checks.close(returned, gae(rewards, values, mask, 1.0, 0.95), rtol=1e-9, atol=1e-9)
    # Padding on the right, on the left and in between, whatever was drawn.
    mask = torch.tensor([[True, True, False], [False, True, True], [True, False, True]])
    rewards = torch.where(mask, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), 1e4)
    values = torch.where(mask, torch.tensor([0.5, 0.25, 1.0], dtype=torch.float64), -1e4)
    checks.close(rlhf.gae(rewards, values, mask), gae(rewards, values, mask, 1.0, 0.95), rtol=1e-9, atol=1e-9)


@part(GAE, points=1)
@settings(max_examples=30)
@given(token_tensors(2, min_t=2), st.data())
def test_rows_of_different_length_end_where_they_end(rlhf, case, data):
    """A row that ends early is not worth what a longer one beside it is: its last token has no token after it."""
    (rewards, values), _ = case
    b, t = rewards.shape
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, t), min_size=b, max_size=b)))
    mask = torch.arange(t) < lengths[:, None]
    checks.close(rlhf.gae(rewards, values, mask, 0.9, 0.8), gae(rewards, values, mask, 0.9, 0.8), rtol=1e-9, atol=1e-9)


@part(GAE, points=1, kind="self-reported")
@settings(max_examples=20)
@given(token_tensors(2))
def test_advantages_are_not_whitened(rlhf, case):
    """Returns are advantages plus values, neither is whitened, and rewards and values stay as they were."""
    (rewards, values), mask = case
    returned, after, _ = rlhf.echo(rlhf.gae, rewards, values, mask)
    checks.close(returned, gae(rewards, values, mask, 1.0, 0.95), rtol=1e-9, atol=1e-9)
    checks.equal(after[:2], [rewards, values])


# --- advantages within a group


@st.composite
def groups(draw: st.DrawFn, dtype=torch.float64, min_g: int = 2) -> tuple[Tensor, int]:
    """(rewards (P * G,) with spread in each group, G)."""
    p, g = draw(draws.lengths(1, 3)), draw(st.integers(min_g, 4))
    kind = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    return draw(draws.tensors((p * g,), dtype=kind)) + 10 * torch.arange(p * g).to(kind), g


def relative(rewards: Tensor, group_size: int, eps: float = 1e-6, normalize_std: bool = True) -> Tensor:
    out = []
    for group in rewards.split(group_size):
        centred = group - group.mean()
        out.append(centred / (group.std() + eps) if normalize_std else centred)
    return torch.cat(out)


@part(GROUPS, points=1)
@given(groups(), st.sampled_from([1e-6, 0.5]))
def test_rewards_are_compared_within_their_group(rlhf, case, eps):
    """(reward - mean) / (std + eps) within each run of neighbours, where the variance divides by G - 1."""
    rewards, g = case
    checks.close(rlhf.group_advantages(rewards, g, eps=eps), relative(rewards, g, eps), rtol=1e-6, atol=1e-6)


@part(GROUPS, points=1)
@settings(max_examples=30)
@given(groups(dtype=ALL_DTYPES))
def test_without_the_deviation_only_the_mean_is_taken_off(rlhf, case):
    """normalize_std=False gives the reward less its group's mean, in the dtype of the rewards."""
    rewards, g = case
    returned = rlhf.group_advantages(rewards, g, normalize_std=False)
    checks.agrees(returned, lambda r: relative(r, g, normalize_std=False), rewards)


@part(GROUPS, points=1)
@settings(max_examples=30)
@given(groups(), st.integers(-4, 4), st.integers(1, 3))
def test_a_group_that_agrees_has_no_advantage(rlhf, case, value, n):
    """A group whose rewards are all the same gets zeros, not NaN, and so does a group of one."""
    rewards, g = case
    same = torch.full((g,), float(value), dtype=torch.float64)
    returned = rlhf.group_advantages(torch.cat((same, rewards, same)), g)
    checks.close(returned, torch.cat((same * 0, relative(rewards, g), same * 0)), rtol=1e-9, atol=1e-9)
    checks.close(rlhf.group_advantages(rewards[:n], 1), torch.zeros(min(n, len(rewards))).double(), atol=1e-12)


@part(GROUPS, points=1)
@settings(max_examples=30)
@given(groups(), st.integers(-100, 100), st.sampled_from([0.1, 10.0]))
def test_a_shift_or_a_scale_of_rewards_does_not_matter(rlhf, case, shift, scale):
    """Rewards in other units, from another zero, give the same advantages; rewards that fit no groups raise."""
    rewards, g = case
    returned = rlhf.group_advantages(rewards * scale + shift, g, eps=1e-12)
    checks.close(returned, relative(rewards, g, 0.0), rtol=1e-6, atol=1e-6)
    with raises("ValueError"):
        rlhf.group_advantages(torch.cat((rewards, rewards[:1])), g)
