"""bradley_terry_loss and kwise_ranking_loss: what a preference says about two scores, and a ranking about many."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.rlhf.strategies import ALL_DTYPES, garbage, ranking_loss, rankings

BT, KWISE = "bradley_terry_loss", "kwise_ranking_loss"


def loss(chosen: torch.Tensor, rejected: torch.Tensor, margin: torch.Tensor | None = None) -> torch.Tensor:
    """mean ln(1 + exp(-difference)), which is -ln sigmoid(difference)."""
    difference = chosen - rejected if margin is None else chosen - rejected - margin
    return F.softplus(-difference).mean()


@st.composite
def pairs(draw: st.DrawFn, n: int = 2, dtype=torch.float64) -> tuple[torch.Tensor, ...]:
    """`n` tensors of one score a pair."""
    b = draw(draws.lengths(1, 5))
    kind = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    return tuple(draw(draws.tensors((b,), dtype=kind)) for _ in range(n))


@part(BT, points=2)
@given(pairs(dtype=ALL_DTYPES))
def test_loss_is_minus_the_mean_log_probability_of_the_choice(rlhf, scores):
    """The loss is the mean over pairs of -ln sigmoid(r_chosen - r_rejected), in the dtype of the scores."""
    checks.agrees(rlhf.bradley_terry_loss(*scores), loss, *scores)


@part(BT, points=1)
@settings(max_examples=30)
@given(pairs(n=3))
def test_a_margin_is_subtracted_from_the_difference(rlhf, scores):
    """With a margin the chosen text must score higher by that much for the same loss."""
    chosen, rejected, margin = scores
    checks.close(rlhf.bradley_terry_loss(chosen, rejected, margin.abs()), loss(chosen, rejected, margin.abs()))


@part(BT, points=2)
@settings(max_examples=30)
@given(pairs(dtype=draws.float_dtypes()), st.sampled_from([1e2, 1e3, 1e4]), st.sampled_from([-1, 1]))
def test_scores_far_apart_keep_loss_and_gradient(rlhf, scores, size, sign):
    """Scores ten thousand apart give a finite loss, and where the wrong one leads a gradient of -1 / B."""
    chosen, rejected = (x.abs() + 1 for x in scores)
    chosen = chosen + sign * size
    _, grads = rlhf.vjp(
        rlhf.bradley_terry_loss, chosen, rejected, cotangent=torch.ones((), dtype=chosen.dtype), wrt=[0, 1]
    )
    checks.agrees(rlhf.bradley_terry_loss(chosen, rejected), loss, chosen, rejected)
    pull = -torch.sigmoid((rejected - chosen).double()) / len(chosen)
    checks.close(grads, [pull.to(chosen.dtype), -pull.to(chosen.dtype)], rtol=1e-4, atol=1e-30)


@part(BT, points=1)
@settings(max_examples=30)
@given(pairs(), st.integers(-50, 50))
def test_only_the_difference_of_scores_matters(rlhf, scores, shift):
    """Adding a constant to every score changes nothing: a reward is known up to a shift."""
    chosen, rejected = scores
    moved = rlhf.bradley_terry_loss(chosen + shift, rejected + shift)
    checks.close(moved, loss(chosen, rejected), rtol=1e-6, atol=1e-6)


@part(BT, points=1)
@settings(max_examples=30)
@given(pairs())
def test_gradients_pull_the_two_apart(rlhf, scores):
    """The gradient lifts the chosen score by the probability of the wrong choice, and lowers the other as much."""
    chosen, rejected = scores
    result, grads = rlhf.vjp(
        rlhf.bradley_terry_loss, *scores, cotangent=torch.tensor(1.0, dtype=torch.float64), wrt=[0, 1]
    )
    pull = -torch.sigmoid(rejected - chosen) / len(chosen)
    checks.close(result, loss(*scores), rtol=1e-6, atol=1e-6)
    checks.close(grads, [pull, -pull], rtol=1e-6, atol=1e-6)


# --- rankings of many


@part(KWISE, points=1)
@settings(max_examples=30)
@given(pairs(dtype=draws.float_dtypes(half=True)), st.data())
def test_two_completions_are_a_pair(rlhf, scores, data):
    """With K = 2 it is the Bradley-Terry loss of the better against the worse one, whichever column is better."""
    chosen, rejected = scores
    first = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(chosen), max_size=len(chosen))))
    rewards = torch.stack((torch.where(first, chosen, rejected), torch.where(first, rejected, chosen)), dim=1)
    ranks = torch.stack((~first, first), dim=1).long()
    returned = rlhf.kwise_ranking_loss(rewards, ranks)
    if rewards.dtype == torch.float64:  # a mean by weights 1 / count may have them in float32
        checks.close(returned, loss(chosen, rejected), rtol=1e-6, atol=1e-6)
    else:
        checks.agrees(returned, loss, chosen, rejected)


@part(KWISE, points=2)
@given(rankings())
def test_pairs_are_averaged_within_each_prompt_first(rlhf, case):
    """The mean over the pairs of each prompt, then over prompts: one with many pairs counts no more than another."""
    checks.close(rlhf.kwise_ranking_loss(*case), ranking_loss(*case), rtol=1e-6, atol=1e-6)


@part(KWISE, points=1)
@settings(max_examples=40)
@given(rankings(ties=True))
def test_equal_ranks_make_no_pair(rlhf, case):
    """Two completions of the same rank count neither in the sum nor in the number of pairs."""
    checks.close(rlhf.kwise_ranking_loss(*case), ranking_loss(*case), rtol=1e-6, atol=1e-6)


@part(KWISE, points=1)
@settings(max_examples=30)
@given(rankings(), st.data())
def test_absent_completions_have_no_influence(rlhf, case, data):
    """Whatever score stands beside a rank of -1 changes nothing, and its gradient is 0."""
    rewards, ranks = case
    filled = torch.where(ranks < 0, data.draw(garbage(rewards)), rewards)
    one = torch.tensor(1.0, dtype=torch.float64)
    result, grads = rlhf.vjp(rlhf.kwise_ranking_loss, filled, ranks, cotangent=one, wrt=[0])
    leaf = rewards.clone().requires_grad_()
    expected = ranking_loss(leaf, ranks)
    checks.close(result, expected.detach(), rtol=1e-6, atol=1e-6)
    checks.close(grads, list(torch.autograd.grad(expected, leaf)), rtol=1e-6, atol=1e-6)


@part(KWISE, points=1)
@settings(max_examples=30)
@given(rankings(ties=True), st.integers(1, 3), st.booleans(), st.data())
def test_prompts_without_a_pair_are_left_out(rlhf, case, n, alone, data):
    """A prompt whose completions all tie, or that has one or none, is not counted; none at all gives 0, gradient 0."""
    rewards, ranks = case
    k = rewards.shape[1]
    useless = st.sampled_from([[0] * k, [0] + [-1] * (k - 1), [-1] * k, [1] * (k - 1) + [-1]])
    more = torch.tensor([data.draw(useless) for _ in range(n)])
    others = data.draw(draws.tensors((n, k), dtype=torch.float64))
    if alone:
        rewards, ranks = rewards[:0], ranks[:0]
    both = torch.cat((rewards, others)), torch.cat((ranks, more))
    result, grads = rlhf.vjp(
        rlhf.kwise_ranking_loss, *both, cotangent=torch.tensor(1.0, dtype=torch.float64), wrt=[0]
    )  # fmt: skip
    leaf = both[0].clone().requires_grad_()
    expected = ranking_loss(leaf, both[1])
    checks.close(result, expected.detach(), rtol=1e-6, atol=1e-6)
    checks.close(grads, list(torch.autograd.grad(expected, leaf)), rtol=1e-6, atol=1e-6)


@part(KWISE, points=1)
@settings(max_examples=30)
@given(rankings(ties=True), st.randoms(use_true_random=False))
def test_the_order_of_completions_and_prompts_does_not_matter(rlhf, case, random):
    """Completions in another order, with their ranks, and prompts in another order, give the same loss."""
    rewards, ranks = case
    columns, rows = list(range(rewards.shape[1])), list(range(len(rewards)))
    random.shuffle(columns)
    random.shuffle(rows)
    moved = rlhf.kwise_ranking_loss(rewards[rows][:, columns], ranks[rows][:, columns])
    checks.close(moved, ranking_loss(rewards, ranks), rtol=1e-6, atol=1e-6)
