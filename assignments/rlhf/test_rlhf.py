"""Public tests of `rlhf`: examples of the handout and simple properties, for `autograder check rlhf`."""

from __future__ import annotations

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import Given, TorchSeed, Wrong, checks, draws, part

LN2, LN3 = math.log(2.0), math.log(3.0)


def row(*values):
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def bools(*values):
    return torch.tensor(values, dtype=torch.bool)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- reward models


@part("last_token_index")
def test_last_tokens_of_the_handout(rlhf):
    """With padding on the right, on the left, and on the right again, the last real tokens are at 1, 2 and 0."""
    mask = bools([True, True, False], [False, True, True], [True, False, False])
    checks.equal(rlhf.last_token_index(mask), torch.tensor([1, 2, 0]))


@part("RewardModel")
@given(st.integers(1, 3), st.integers(1, 4), draws.seeds())
def test_the_score_is_the_head_of_the_last_real_token(rlhf, b, t, seed):
    """On a backbone that adds up embeddings, the score is the sum of what the head makes of each real token."""
    source = torch.Generator().manual_seed(seed)
    embed, head = normal(5, 2, seed=seed), normal(1, 2, seed=seed + 1)
    model = rlhf.RewardModel(rlhf.make(Given("policies.RunningSum"), 5, 2), 2)
    model.double()
    model.load_state_dict({"backbone.embed.weight": embed, "head.weight": head})
    input_ids = torch.randint(1, 5, (b, t + 2), generator=source)
    mask = torch.arange(t + 2) < torch.randint(1, t + 3, (b, 1), generator=source)
    input_ids = input_ids.masked_fill(~mask, 0)
    expected = ((embed @ head[0])[input_ids] * mask).sum(1)
    checks.close(model(input_ids, mask), expected, rtol=1e-9, atol=1e-9)


@part("bradley_terry_loss")
def test_bradley_terry_of_the_handout(rlhf):
    """A lead of ln 3 costs -ln 0.75; with a margin of ln 3 it is no lead, and costs ln 2."""
    checks.close(rlhf.bradley_terry_loss(row(LN3), row(0.0)), torch.tensor(-math.log(0.75)).double(), rtol=1e-6)
    checks.close(rlhf.bradley_terry_loss(row(LN3), row(0.0), row(LN3)), torch.tensor(LN2).double(), rtol=1e-6)


@part("bradley_terry_loss")
@given(st.integers(1, 4), draws.seeds())
def test_bradley_terry_of_scores(rlhf, n, seed):
    """The loss is the mean of ln(1 + exp(r_rejected - r_chosen))."""
    chosen, rejected = normal(2, n, seed=seed)
    checks.close(rlhf.bradley_terry_loss(chosen, rejected), F.softplus(rejected - chosen).mean(), rtol=1e-9)


@part("kwise_ranking_loss")
def test_rankings_of_the_handout(rlhf):
    """The example worked by hand: one pair and three pairs, averaged within each prompt first, give 0.5580."""
    rewards, ranks = row([0.0, 0.0, 0.0], [LN3, 0.0, 0.0]), torch.tensor([[0, 1, -1], [0, 1, 2]])
    expected = (LN2 + (2 * math.log(4 / 3) + LN2) / 3) / 2
    checks.close(rlhf.kwise_ranking_loss(rewards, ranks), torch.tensor(expected, dtype=torch.float64), rtol=1e-9)


@part("kwise_ranking_loss")
@given(st.integers(1, 3), draws.seeds())
def test_a_ranking_of_two_is_a_pair(rlhf, b, seed):
    """With K = 2 it is the Bradley-Terry loss."""
    rewards = normal(b, 2, seed=seed)
    ranks = torch.tensor([[1, 0]] * b)
    checks.close(rlhf.kwise_ranking_loss(rewards, ranks), F.softplus(rewards[:, 0] - rewards[:, 1]).mean(), rtol=1e-9)


@part("train_reward_model")
def test_the_loss_of_a_reward_model_falls(rlhf):
    """Sixty steps on rankings of a known reward give sixty losses, and the last ones are below the first ones."""
    source = torch.Generator().manual_seed(0)
    input_ids = torch.randint(5, (50, 3, 4), generator=source)
    ranks = row(-2.0, -1.0, 0.0, 1.0, 2.0)[input_ids].sum(-1).argsort(1, descending=True).argsort(1)
    model = rlhf.RewardModel(rlhf.make(Given("policies.RunningSum"), 5, 4), 4, generator=TorchSeed(0))
    mask = torch.ones_like(input_ids, dtype=torch.bool)
    losses = rlhf.train_reward_model(
        model, input_ids, mask, ranks, steps=60, learning_rate=0.05, generator=TorchSeed(1)
    )  # fmt: skip
    checks.holds(len(losses) == 60, "there is one loss a step", len(losses))
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    checks.holds(last < first / 2, "the last five losses are below half of the first five", last, first / 2)


# --- what scores are worth


@part("RewardNormalizer")
def test_normalizer_of_the_handout(rlhf):
    """Fitted to 1 and 3, the rewards 2 and 4 become 0 and 2, and with `scale` 0 and 2 / (sqrt 2 + 1e-6)."""
    for scale, unit in ((False, 1.0), (True, math.sqrt(2) + 1e-6)):
        normalizer = rlhf.RewardNormalizer(scale=scale)
        normalizer.fit(row(1.0, 3.0))
        checks.close(normalizer(row(2.0, 4.0)), row(0.0, 2.0 / unit), rtol=1e-9, atol=1e-12)


@part("calibration")
def test_accuracy_of_the_handout(rlhf):
    """One win, one tie and two losses are an accuracy of 0.375."""
    checks.close(rlhf.pairwise_accuracy(row(2.0, 1.0, 0.0, 0.0), row(1.0, 1.0, 1.0, 1.0)), 0.375, rtol=1e-9)


@part("calibration")
def test_calibration_of_the_handout(rlhf):
    """Two predictions of 0.25, one of which came true, and one of 0.75 that did, are off by 0.25 in both bins."""
    returned = rlhf.expected_calibration_error(row(0.25, 0.25, 0.75), bools(False, True, True), n_bins=2)
    checks.close(returned, 0.25, rtol=1e-6)


@part("best_of_n")
def test_best_of_n_of_the_handout(rlhf):
    """The best of two rows, their divergence for n = 1 and 2, and the mean of the larger of two of 1, 2 and 4."""
    checks.equal(rlhf.best_of_n(torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 0.0]])), torch.tensor([1, 0]))
    checks.close(rlhf.best_of_n_kl(1), 0.0, atol=1e-12)
    checks.close(rlhf.best_of_n_kl(2), LN2 - 0.5, rtol=1e-9)
    checks.close(
        rlhf.expected_best_of_n(row(1.0, 2.0, 4.0), 2), torch.tensor(10 / 3, dtype=torch.float64), rtol=1e-9
    )  # fmt: skip


@part("best_of_n")
@given(st.integers(1, 6), st.data(), draws.seeds())
def test_the_mean_of_the_best_over_all_subsets(rlhf, m, data, seed):
    """expected_best_of_n is the mean over all subsets of n rewards of the largest."""
    n = data.draw(st.integers(1, m))
    rewards = normal(m, seed=seed)
    best = [max(chosen) for chosen in combinations(rewards.tolist(), n)]
    checks.close(rlhf.expected_best_of_n(rewards, n), row(*best).mean(), rtol=1e-9, atol=1e-12)


# --- probabilities of texts


@part("sequence_logprobs")
def test_uniform_logits_cost_ln_2_a_token(rlhf):
    """Two response tokens under uniform logits over two tokens have a log-probability of -2 ln 2."""
    logits, input_ids = torch.zeros(1, 3, 2, dtype=torch.float64), torch.tensor([[0, 1, 0]])
    checks.close(rlhf.token_logprobs(logits, input_ids), row([-LN2, -LN2]), rtol=1e-9)
    checks.close(rlhf.sequence_logprobs(logits, input_ids, bools([False, True, True])), row(-2 * LN2), rtol=1e-9)


@part("sequence_logprobs")
@given(st.integers(1, 2), st.integers(2, 5), draws.seeds())
def test_logits_at_a_position_are_for_the_next_token(rlhf, b, t, seed):
    """token_logprobs[:, t] is the log-softmax of logits[:, t] at token t + 1."""
    logits = normal(b, t, 3, seed=seed)
    input_ids = torch.randint(3, (b, t), generator=torch.Generator().manual_seed(seed))
    expected = torch.log_softmax(logits, -1)[:, :-1].gather(-1, input_ids[:, 1:, None])[..., 0]
    checks.close(rlhf.token_logprobs(logits, input_ids), expected, rtol=1e-9, atol=1e-12)


@part("dpo_loss")
@given(st.integers(1, 3), draws.seeds())
def test_dpo_by_its_formula(rlhf, b, seed):
    """Losses are ln(1 + exp(-beta d)); rewards are beta times the log-ratios; ln 2 where policy and reference agree."""
    pi_c, pi_r, ref_c, ref_r = normal(4, b, seed=seed)
    expected = F.softplus(-0.5 * (pi_c - pi_r - ref_c + ref_r)), 0.5 * (pi_c - ref_c), 0.5 * (pi_r - ref_r)
    checks.close(rlhf.dpo_loss(pi_c, pi_r, ref_c, ref_r, beta=0.5), expected, rtol=1e-9, atol=1e-12)
    checks.close(rlhf.dpo_loss(pi_c, pi_r, pi_c, pi_r)[0], torch.full_like(pi_c, LN2), rtol=1e-9)


@part("kl_estimates")
def test_estimates_of_the_handout(rlhf):
    """Policy 0.5 and reference 0.25: k1 = ln 2, k2 = (ln 2)^2 / 2, k3 = ln 2 - 1/2."""
    returned = rlhf.kl_estimates(row(math.log(0.5)), row(math.log(0.25)))
    checks.close(returned, (row(LN2), row(LN2**2 / 2), row(LN2 - 0.5)), rtol=1e-9)


# --- advantages


@part("masked_statistics")
def test_statistics_of_the_handout(rlhf):
    """Means of what counts, and whitening of two entries, 1 and 3, beside padding."""
    x, mask = row([1.0, 2.0], [4.0, 9.0]), bools([True, True], [True, False])
    checks.close(rlhf.masked_mean(x, mask), torch.tensor(7 / 3, dtype=torch.float64), rtol=1e-9)
    checks.close(rlhf.masked_mean(x, mask, dim=1), row(1.5, 4.0), rtol=1e-9)
    expected = row([-1 / (math.sqrt(2) + 1e-6), 1 / (math.sqrt(2) + 1e-6), 0.0])
    checks.close(rlhf.whiten(row([1.0, 3.0, 9.0]), bools([True, True, False])), expected, rtol=1e-9)


@part("token_rewards")
def test_token_rewards_of_the_handout(rlhf):
    """The first token pays 0.5 for leaving the reference by 1, the second gets the score, padding gets nothing."""
    returned = rlhf.token_rewards(
        row(5.0), row([-1.0, -1.0, 0.0]), row([-2.0, -1.0, 0.0]), bools([True, True, False]), beta=0.5
    )
    checks.close(returned, row([-0.5, 5.0, 0.0]), rtol=1e-9)


@part("gae")
def test_gae_worked_by_hand(rlhf):
    """The example of the handout: three tokens, gamma 1, lam 1/2."""
    rewards, values = row([0.0, 0.0, 1.0]), row([0.5, 0.6, 0.8])
    advantages, returns = rlhf.gae(rewards, values, bools([True, True, True]), gamma=1.0, lam=0.5)
    checks.close(advantages, row([0.25, 0.3, 0.2]), rtol=1e-9)
    checks.close(returns, row([0.75, 0.9, 1.0]), rtol=1e-9)


@part("group_advantages")
def test_group_advantages_of_the_handout(rlhf):
    """Two groups of two: one that differs by 2, and one whose rewards are the same."""
    unit = 1 / (math.sqrt(2) + 1e-6)
    checks.close(rlhf.group_advantages(row(1.0, 3.0, 5.0, 5.0), group_size=2), row(-unit, unit, 0.0, 0.0), rtol=1e-9)


# --- policy gradients


@part("ppo_clip_loss")
def test_clipping_of_the_handout(rlhf):
    """A ratio of 1.5 with eps = 0.2: an advantage of 1 gives 1.2, one of -1 gives -1.5."""
    logp, old_logp = row([math.log(1.5), math.log(1.5)]), row([0.0, 0.0])
    returned = rlhf.clipped_objective(logp, old_logp, row([1.0, -1.0]), bools([True, True]), eps=0.2)
    checks.close(returned, row([1.2, -1.5]), rtol=1e-9)


@part("ppo_clip_loss")
def test_ppo_of_the_handout(rlhf):
    """At a ratio of 1 the loss is minus the mean advantage of the real tokens: (1 + 3 + 5) / 3."""
    logp = row([-1.0, -2.0], [-3.0, -4.0])
    returned = rlhf.ppo_clip_loss(logp, logp, row([1.0, 3.0], [5.0, 0.0]), bools([True, True], [True, False]))
    checks.close(returned, torch.tensor(-3.0, dtype=torch.float64), rtol=1e-9)


@part("grpo_loss")
def test_three_aggregates_of_the_handout(rlhf):
    """One token with advantage 1 and three with -1, of four columns: 0, 1/2 and 1/4."""
    logp, mask = normal(2, 4), bools([True, False, False, False], [True, True, True, False])
    for loss_agg, expected in (("sequence", 0.0), ("token", 0.5), ("constant", 0.25)):
        returned = rlhf.grpo_loss(logp, logp, row(1.0, -1.0), mask, loss_agg=loss_agg)
        checks.close(returned, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)


@part("grpo_loss")
@given(st.integers(1, 3), st.integers(1, 4), draws.seeds())
def test_the_reference_is_charged(rlhf, b, t, seed):
    """Without advantages, the loss is beta times the mean of k3."""
    logp, ref_logp = normal(2, b, t, seed=seed)
    d = ref_logp - logp
    zeros, mask = torch.zeros(b, dtype=torch.float64), torch.ones(b, t, dtype=torch.bool)
    returned = rlhf.grpo_loss(logp, logp, zeros, mask, beta=0.5, ref_logp=ref_logp)
    checks.close(returned, 0.5 * (torch.expm1(d) - d).mean(), rtol=1e-9, atol=1e-12)


@part("train_policy")
def test_the_rewards_of_a_policy_rise(rlhf):
    """Forty steps towards a reward of 1 for each token 2 give forty means, and the last ones are above the first."""
    policy = rlhf.make(Given("policies.PolicyTable"), torch.zeros(4, 4))
    reward = rlhf.make(Given("preferences.KnownReward"), torch.tensor([0.0, 0.0, 1.0, 0.0]))
    means = rlhf.train_policy(
        policy, reward, torch.tensor([[3], [3]]), steps=40, max_new_tokens=3, eos_id=1, pad_id=0, learning_rate=0.1,
        generator=TorchSeed(0),
    )  # fmt: skip
    checks.holds(len(means) == 40, "there is one mean a step", len(means))
    first, last = sum(means[:5]) / 5, sum(means[-5:]) / 5
    checks.holds(last > first + 1, "the last five means are above the first five by more than 1", last, first + 1)


# --- named mistakes: what each would return


def _pairs(rewards, ranks, *, ties=False, absent=False):
    """One list of losses a prompt."""
    return [
        [
            F.softplus(scores[j] - scores[i])
            for i, a in enumerate(order)
            for j, b in enumerate(order)
            if i != j and (absent or min(a, b) >= 0) and (a < b or (ties and a == b))
        ]
        for scores, order in zip(rewards, ranks.tolist())
    ]


def _pooled(rewards, ranks):
    return torch.stack([loss for losses in _pairs(rewards, ranks) for loss in losses]).mean()


def _by_prompt(rewards, ranks, **options):
    return torch.stack([torch.stack(losses).mean() for losses in _pairs(rewards, ranks, **options) if losses]).mean()


def _ratios(logp, old_logp, mask):
    return torch.where(mask, logp - old_logp, 0.0).exp()


def _advantages(rewards, values, mask, gamma=1.0, lam=0.95, *, bootstrap=False, fade=True):
    out, after = torch.zeros_like(rewards), values[:, -1] if bootstrap else torch.zeros_like(rewards[:, 0])
    running = torch.zeros_like(after)
    for t in reversed(range(rewards.shape[1])):
        running = rewards[:, t] + gamma * after - values[:, t] + gamma * (lam if fade else 1.0) * running
        after = values[:, t]
        out[:, t] = running
    return torch.where(mask, out, 0.0), torch.where(mask, out + values, 0.0)


def _groups(rewards, group_size, eps=1e-6, normalize_std=True, *, correction=1, batch=False):
    groups = rewards.view(-1, group_size)
    centred = groups - groups.mean(1, keepdim=True)
    deviation = rewards.std() if batch else groups.std(1, keepdim=True, correction=correction)
    return (centred / (deviation + eps) if normalize_std else centred).flatten()


def _summed(logits, input_ids, mask, *, shift=1, first=0, mean=False):
    logprobs = torch.log_softmax(logits, -1)
    at = logprobs[:, :-1] if shift else logprobs[:, 1:]
    each = torch.where(mask[:, 1:], at.gather(-1, input_ids[:, 1:, None])[..., 0], 0.0)
    if first:
        each = torch.where(mask[:, :-1], each, 0.0)
    return each.sum(1) / (mask[:, 1:].sum(1).clamp(min=1) if mean else 1)


def _grpo(logp, old_logp, advantages, mask, *, eps=0.2, beta=0.0, ref_logp=None, loss_agg="sequence", constant=None,
          sign=1.0, padded=False):  # fmt: skip
    ratio, a = _ratios(logp, old_logp, mask), advantages[:, None]
    each = torch.where(mask, torch.minimum(ratio * a, ratio.clamp(1 - eps, 1 + eps) * a), 0.0)
    if ref_logp is not None:
        d = torch.where(mask, ref_logp - logp, 0.0)
        each = each - sign * beta * (torch.expm1(d) - d)
    if loss_agg == "token":
        return -each.sum() / mask.sum()
    if loss_agg == "constant":
        return -each.sum() / (len(mask) * (constant or mask.shape[1]))
    return -(each.mean(1) if padded else each.sum(1) / mask.sum(1).clamp(min=1)).mean()


WRONG = [
    Wrong("always_the_last_column", "last_token_index",
          lambda attention_mask: torch.full((len(attention_mask),), attention_mask.shape[1] - 1),
          "The last column is padding wherever a text is shorter than the longest of its batch."),
    Wrong("counts_the_real_tokens", "last_token_index", lambda attention_mask: attention_mask.sum(1) - 1,
          "The number of real tokens less one is the last position only where the padding is on the right."),
    Wrong("the_first_real_token", "last_token_index", lambda attention_mask: attention_mask.int().argmax(1),
          "argmax of the mask finds its first True; the last one is asked for."),
    Wrong("difference_the_wrong_way_round", "bradley_terry_loss",
          lambda r_chosen, r_rejected, margin=None: F.softplus(
              r_chosen - r_rejected - (0 if margin is None else margin)).mean(),
          "The rejected score is to be below the chosen one; the sign of the difference is turned."),
    Wrong("sums_over_pairs", "bradley_terry_loss",
          lambda r_chosen, r_rejected, margin=None: F.softplus(
              r_rejected - r_chosen + (0 if margin is None else margin)).sum(),
          "The losses of the pairs are summed; their mean is asked for."),
    Wrong("adds_the_margin", "bradley_terry_loss",
          lambda r_chosen, r_rejected, margin=None: F.softplus(
              r_rejected - r_chosen - (0 if margin is None else margin)).mean(),
          "The margin is added to the difference, which makes the task easier; it is to be subtracted."),
    Wrong("all_pairs_in_one_pool", "kwise_ranking_loss", _pooled,
          "All pairs go into one mean, so prompts with many completions outweigh others: average each prompt first."),
    Wrong("ties_as_wins", "kwise_ranking_loss", lambda rewards, ranks: _by_prompt(rewards, ranks, ties=True),
          "Completions of equal rank are made a pair; they say nothing about each other."),
    Wrong("absent_is_best", "kwise_ranking_loss", lambda rewards, ranks: _by_prompt(rewards, ranks, absent=True),
          "Rank -1 is taken for better than 0; it means that the completion is absent."),
    Wrong("a_tie_is_a_hit", "pairwise_accuracy",
          lambda r_chosen, r_rejected: float((r_chosen >= r_rejected).double().mean()),
          "A tie counts as right: a model that scores everything 0 would be perfect."),
    Wrong("a_tie_is_a_miss", "pairwise_accuracy",
          lambda r_chosen, r_rejected: float((r_chosen > r_rejected).double().mean()),
          "A tie counts as wrong; it is half of a hit."),
    Wrong("every_prediction_by_itself", "expected_calibration_error",
          lambda probs, outcomes, n_bins=10: float((outcomes.double() - probs).abs().mean()),
          "The gap is taken of each prediction by itself; within a bin they are averaged first."),
    Wrong("over_and_under_cancel", "expected_calibration_error",
          lambda probs, outcomes, n_bins=10: float((outcomes.double() - probs).mean().abs()),
          "Bins that promise too much and bins that promise too little cancel: take the absolute value of each."),
    Wrong("the_last_of_the_best", "best_of_n", lambda rewards: rewards.shape[1] - 1 - rewards.flip(1).argmax(1),
          "Of those that tie the first is to be chosen."),
    Wrong("only_the_logarithm", "best_of_n_kl", lambda n: math.log(n),
          "The divergence is ln n - (n - 1) / n; the second term is missing."),
    Wrong("plus_instead_of_minus", "best_of_n_kl", lambda n: math.log(n) + (n - 1) / n,
          "The second term is subtracted: ln n - (n - 1) / n."),
    Wrong("the_first_n", "expected_best_of_n", lambda rewards, n: rewards[:n].max(),
          "Only the first n rewards are used; the mean is to run over all subsets."),
    Wrong("the_worst_of_each_subset", "expected_best_of_n",
          lambda rewards, n: torch.stack([torch.stack(c).min() for c in combinations(rewards, n)]).mean(),
          "The rewards are sorted the wrong way round: that is the mean of the smallest in each subset."),
    Wrong("logits_of_the_same_position", "token_logprobs",
          lambda logits, input_ids: torch.log_softmax(logits, -1)[:, 1:].gather(-1, input_ids[:, 1:, None])[..., 0],
          "Logits at a position are for the token after it; here they are taken for the token that stands there."),
    Wrong("first_token_of_the_response_lost", "sequence_logprobs",
          lambda logits, input_ids, response_mask: _summed(logits, input_ids, response_mask, first=1),
          "The first token of the response is lost: the last token of the prompt predicts it."),
    Wrong("mean_instead_of_sum", "sequence_logprobs",
          lambda logits, input_ids, response_mask: _summed(logits, input_ids, response_mask, mean=True),
          "The mean over tokens is no log-probability of the response: take the sum."),
    Wrong("logits_of_the_token_itself", "sequence_logprobs",
          lambda logits, input_ids, response_mask: _summed(logits, input_ids, response_mask, shift=0),
          "Logits at a position are for the token after it."),
    Wrong("forgets_the_reference", "dpo_loss",
          lambda pi_chosen, pi_rejected, ref_chosen, ref_rejected, beta=0.1, label_smoothing=0.0: (
              F.softplus(beta * (pi_rejected - pi_chosen)), beta * pi_chosen, beta * pi_rejected),
          "The reference is left out, so nothing holds the policy near it."),
    Wrong("rejected_is_better", "dpo_loss",
          lambda pi_chosen, pi_rejected, ref_chosen, ref_rejected, beta=0.1, label_smoothing=0.0: (
              F.softplus(beta * (pi_chosen - pi_rejected - ref_chosen + ref_rejected)),
              beta * (pi_chosen - ref_chosen), beta * (pi_rejected - ref_rejected)),
          "The policy learns to prefer the rejected text."),
    Wrong("log_ratio_the_wrong_way_round", "kl_estimates",
          lambda logp, ref_logp: (ref_logp - logp, (logp - ref_logp) ** 2 / 2,
                                  torch.expm1(logp - ref_logp) - (logp - ref_logp)),
          "d is ref_logp - logp; turned round, k1 has the wrong sign and k3 another mean."),
    Wrong("k2_without_its_half", "kl_estimates",
          lambda logp, ref_logp: (logp - ref_logp, (logp - ref_logp) ** 2,
                                  torch.expm1(ref_logp - logp) - (ref_logp - logp)),
          "k2 is d^2 / 2."),
    Wrong("mean_over_padding", "masked_mean",
          lambda x, mask, dim=None: (x * mask).mean() if dim is None else (x * mask).mean(dim),
          "The sum is divided by the padded length; divide by the number of True."),
    Wrong("whitens_with_n", "whiten",
          lambda x, mask, eps=1e-6: torch.where(mask, (x - x[mask].mean()) / (x[mask].std(correction=0) + eps), 0.0),
          "The variance is divided by n; it is to be divided by n - 1."),
    Wrong("pays_in_the_last_column", "token_rewards",
          lambda scores, logp, ref_logp, mask, beta: torch.cat(
              (torch.where(mask, -beta * (logp - ref_logp), 0.0)[:, :-1], scores[:, None]), 1),
          "The score is paid in the last column, which is padding in every shorter response."),
    Wrong("pays_at_every_token", "token_rewards",
          lambda scores, logp, ref_logp, mask, beta: torch.where(
              mask, scores[:, None] - beta * (logp - ref_logp), 0.0),
          "The score is paid at every token; it is paid once, at the last one."),
    Wrong("ends_with_its_own_value", "gae",
          lambda rewards, values, mask, gamma=1.0, lam=0.95: _advantages(
              rewards, values, mask, gamma, lam, bootstrap=True),
          "After the last token the value is 0, not its own once more."),
    Wrong("forgets_lambda", "gae",
          lambda rewards, values, mask, gamma=1.0, lam=0.95: _advantages(
              rewards, values, mask, gamma, lam, fade=False),
          "lam is missing: surprises fade by gamma * lam a step."),
    Wrong("divides_by_g", "group_advantages",
          lambda rewards, group_size, eps=1e-6, normalize_std=True: _groups(
              rewards, group_size, eps, normalize_std, correction=0),
          "The variance is divided by G; it is to be divided by G - 1."),
    Wrong("deviation_of_the_batch", "group_advantages",
          lambda rewards, group_size, eps=1e-6, normalize_std=True: _groups(
              rewards, group_size, eps, normalize_std, batch=True),
          "The deviation is that of the whole batch; each group has its own."),
    Wrong("maximum_instead_of_minimum", "clipped_objective",
          lambda logp, old_logp, advantages, mask, eps=0.2: torch.where(mask, torch.maximum(
              _ratios(logp, old_logp, mask) * advantages,
              _ratios(logp, old_logp, mask).clamp(1 - eps, 1 + eps) * advantages), 0.0),
          "The larger of the two is taken: clipping then stops nothing that it should stop."),
    Wrong("clips_without_a_minimum", "clipped_objective",
          lambda logp, old_logp, advantages, mask, eps=0.2: torch.where(
              mask, _ratios(logp, old_logp, mask).clamp(1 - eps, 1 + eps) * advantages, 0.0),
          "The ratio is clipped on both sides whatever the advantage: a wrong step can never be taken back."),
    Wrong("does_not_clip", "clipped_objective",
          lambda logp, old_logp, advantages, mask, eps=0.2: torch.where(
              mask, _ratios(logp, old_logp, mask) * advantages, 0.0),
          "Nothing is clipped."),
    Wrong("mean_over_padding_in_the_loss", "ppo_clip_loss",
          lambda logp, old_logp, advantages, mask, eps=0.2: -torch.where(
              mask, _ratios(logp, old_logp, mask) * advantages, 0.0).mean(),
          "The sum is divided by all tokens, padding too."),
    Wrong("mean_of_means", "ppo_clip_loss",
          lambda logp, old_logp, advantages, mask, eps=0.2: -(torch.where(
              mask, _ratios(logp, old_logp, mask) * advantages, 0.0).sum(1) / mask.sum(1).clamp(min=1)).mean(),
          "Each sequence is averaged first; here all real tokens of the batch weigh the same."),
    Wrong("mean_over_the_padded_length", "grpo_loss",
          lambda *args, **options: _grpo(*args, **options, padded=True),
          "Sequences are divided by the padded length, so a short one counts less."),
    Wrong("pays_for_divergence", "grpo_loss", lambda *args, **options: _grpo(*args, **options, sign=-1.0),
          "The divergence is to be a cost: it is subtracted from the objective."),
]  # fmt: skip
