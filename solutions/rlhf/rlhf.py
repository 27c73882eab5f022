"""Learning from preferences: a reward model, what its scores are worth, and a policy that is trained towards them.

Build in the order of the file; the handout (README.md) has the maths. B is a number of sequences, T their length in
tokens, K the number of completions that were ranked for one prompt, V the size of the vocabulary. Every function works
on the device and in the dtype of its input (bfloat16, float32, float64) and changes no argument. Masks are boolean, and
True means real, or counts in the loss; whatever finite numbers stand elsewhere change neither a result nor a gradient.
Logarithms are natural.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

# --- reward models ----------------------------------------------------------------------------------------------------


def last_token_index(attention_mask: Bool[Tensor, "b t"]) -> Int[Tensor, " b"]:
    """Return the position (int64) of the last True in each row, wherever the padding is. Every row has a True.

    last_token_index([[True, True, False], [False, True, True], [True, False, False]]) -> [1, 2, 0]
    """
    ### BEGIN SOLUTION
    positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return torch.where(attention_mask, positions, -1).amax(dim=1)
    ### END SOLUTION


class RewardModel(nn.Module):
    """A language model's body with one number on top: a scalar score of a whole text (Ouyang et al. 2022, section 3.4).

    `backbone(input_ids, attention_mask)` returns a hidden state of `d_model` numbers for each token, (B, T, d_model).
    `head` has no bias: adding a constant to every score changes no preference.
    """

    def __init__(self, backbone: nn.Module, d_model: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(d_model, 1, bias=False)
        nn.init.normal_(self.head.weight, std=(d_model + 1) ** -0.5, generator=generator)  # Stiennon et al. 2020, B.1

    def forward(self, input_ids: Int[Tensor, "b t"], attention_mask: Bool[Tensor, "b t"]) -> Float[Tensor, " b"]:
        """Return `head` of the hidden state of each row's last real token, which alone has seen the whole text.

        The backbone gets both arguments. Padding on either side changes nothing.
        """
        ### BEGIN SOLUTION
        hidden = self.backbone(input_ids, attention_mask)  # (B, T, C)
        rows = torch.arange(len(hidden), device=hidden.device)
        return self.head(hidden[rows, last_token_index(attention_mask)]).squeeze(-1)
        ### END SOLUTION


def bradley_terry_loss(
    r_chosen: Float[Tensor, " b"], r_rejected: Float[Tensor, " b"], margin: Float[Tensor, " b"] | None = None
) -> Float[Tensor, ""]:
    """Return the mean of -ln sigmoid(r_chosen - r_rejected - margin) (Bradley and Terry 1952).

    sigmoid(r_chosen - r_rejected) is the modelled probability that the first is preferred. A margin, as in Llama 2
    (Touvron et al. 2023, equation 2), asks for a difference that large; None is 0. Scores of +-10,000 neither overflow
    nor lose their gradient.

    bradley_terry_loss([ln 3], [0]) -> -ln 0.75 = 0.2877;  with margin [ln 3] -> ln 2 = 0.6931
    """
    ### BEGIN SOLUTION
    difference = r_chosen - r_rejected
    if margin is not None:
        difference = difference - margin
    return -F.logsigmoid(difference).mean()
    ### END SOLUTION


def kwise_ranking_loss(rewards: Float[Tensor, "b k"], ranks: Int[Tensor, "b k"]) -> Float[Tensor, ""]:
    """Return the Bradley-Terry loss of all pairs of a ranking: the mean over each prompt's pairs, then over prompts.

    `ranks`: 0 is the best, larger is worse, -1 means that the completion is absent. A pair that ties, or has an absent
    member, is left out of sum and count; a prompt without a pair is left out of the mean over prompts; no pair at all
    gives 0, with a gradient of 0. With K = 2 it is `bradley_terry_loss`. The C(K, 2) pairs of a prompt share its
    completions, so they count as one example (Ouyang et al. 2022, equation 1).

    kwise_ranking_loss([[0, 0, 0], [ln 3, 0, 0]], [[0, 1, -1], [0, 1, 2]]) -> (ln 2 + (2 ln(4/3) + ln 2) / 3) / 2
    """
    ### BEGIN SOLUTION
    present = ranks >= 0
    better = (ranks[:, :, None] < ranks[:, None, :]) & present[:, :, None] & present[:, None, :]  # [b, i, j]: i beats j
    differences = (rewards[:, :, None] - rewards[:, None, :]).masked_fill(~better, 0.0)
    losses = -F.logsigmoid(differences) * better
    n_pairs = better.sum(dim=(1, 2))
    per_prompt = losses.sum(dim=(1, 2)) / n_pairs.clamp(min=1)  # 0 where there is no pair
    return per_prompt.sum() / (n_pairs > 0).sum().clamp(min=1)
    ### END SOLUTION


def train_reward_model(
    model: nn.Module,
    input_ids: Int[Tensor, "n k t"],
    attention_mask: Bool[Tensor, "n k t"],
    ranks: Int[Tensor, "n k"],
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 1e-2,
    generator: torch.Generator | None = None,
) -> list[float]:
    """Train `model` in place on N ranked prompts; return the `kwise_ranking_loss` of each step, before its update.

    Each of the `steps` steps draws `batch_size` prompts at random, scores all K completions of each in one call
    `model(input_ids (batch_size * K, T), attention_mask) -> (batch_size * K,)`, and takes one step of torch.optim.Adam.
    All chance comes from `generator`: the same state gives the same weights.
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        rows = torch.randint(len(ranks), (batch_size,), generator=generator).to(ranks.device)
        rewards = model(input_ids[rows].flatten(0, 1), attention_mask[rows].flatten(0, 1))  # (batch_size * K,)
        loss = kwise_ranking_loss(rewards.view(batch_size, -1), ranks[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


# --- what scores are worth --------------------------------------------------------------------------------------------


class RewardNormalizer:
    """Shifts, and with `scale` also scales, rewards so that those of reference completions have mean 0 (and deviation
    1). Ouyang et al. 2022, section 3.4, shift only.

    The shift and the scale are those of the rewards that `fit` saw, not of the batch at hand.
    """

    def __init__(self, scale: bool = False, eps: float = 1e-6) -> None:
        self.scale = scale
        self.eps = eps
        self.mean: Float[Tensor, ""] | None = None
        self.std: Float[Tensor, ""] | None = None

    def fit(self, rewards: Float[Tensor, " n"]) -> RewardNormalizer:
        """Set `mean` and `std` (0-d tensors) to the mean and the unbiased standard deviation of `rewards`; return self.

        The variance divides by n - 1, as torch.std does; the deviation of a single reward is 0. Fitting again forgets
        what was fitted before.
        """
        ### BEGIN SOLUTION
        self.mean = rewards.mean()
        self.std = rewards.std(correction=min(1, len(rewards) - 1))
        return self
        ### END SOLUTION

    def __call__(self, rewards: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return rewards - mean, with `scale` divided by (std + eps). RuntimeError before `fit`.

        RewardNormalizer(scale=True).fit([1, 3]) of [2, 4] -> [0, 2 / (sqrt 2 + 1e-6)]
        """
        ### BEGIN SOLUTION
        if self.mean is None or self.std is None:
            raise RuntimeError("fit the normalizer to the rewards of reference completions first")
        centred = rewards - self.mean
        return centred / (self.std + self.eps) if self.scale else centred
        ### END SOLUTION


def pairwise_accuracy(r_chosen: Float[Tensor, " n"], r_rejected: Float[Tensor, " n"]) -> float:
    """Return the fraction of pairs in which the chosen text scores higher; a tie counts one half.

    pairwise_accuracy([2, 1, 0, 0], [1, 1, 1, 1]) -> (1 + 1/2 + 0 + 0) / 4 = 0.375
    """
    ### BEGIN SOLUTION
    wins, ties = (r_chosen > r_rejected).sum().item(), (r_chosen == r_rejected).sum().item()
    return (wins + ties / 2) / len(r_chosen)
    ### END SOLUTION


def expected_calibration_error(
    probs: Float[Tensor, " n"], outcomes: Bool[Tensor, " n"] | Int[Tensor, " n"], n_bins: int = 10
) -> float:
    """Return sum over bins of (n_bin / n) * |mean outcome - mean probability| (Guo et al. 2017, equation 3).

    Bin m of M = `n_bins` holds the probabilities in ((m - 1) / M, m / M]; 0 belongs to the first. Empty bins count
    nothing. Outcomes are 0 and 1, or False and True: whether what got that probability came true.

    expected_calibration_error([0.25, 0.25, 0.75], [False, True, True], n_bins=2) -> 2/3 * 0.25 + 1/3 * 0.25 = 0.25
    """
    ### BEGIN SOLUTION
    probs = probs.to(torch.promote_types(probs.dtype, torch.float32))
    bins = (probs * n_bins).ceil().long().sub(1).clamp(0, n_bins - 1)
    gaps = probs.new_zeros(n_bins).index_add(0, bins, outcomes.to(probs.dtype) - probs)  # sums over each bin
    return gaps.abs().sum().item() / len(probs)
    ### END SOLUTION


# --- the best of n ----------------------------------------------------------------------------------------------------


def best_of_n(rewards: Float[Tensor, "b n"]) -> Int[Tensor, " b"]:
    """Return the index (int64) of the best of each row's n completions; the first of those that tie.

    best_of_n([[1, 3, 2], [5, 5, 0]]) -> [1, 0]
    """
    ### BEGIN SOLUTION
    return rewards.argmax(dim=1)
    ### END SOLUTION


def best_of_n_kl(n: int) -> float:
    """Return ln n - (n - 1) / n, in nats: how far choosing the best of n moves a policy (Stiennon et al. 2020, G.3).

    That is the Kullback-Leibler divergence from the policy where no two completions tie; where they may, it is an upper
    bound (Beirami et al. 2024). ValueError for n < 1.

    best_of_n_kl(1) -> 0.0;  best_of_n_kl(2) -> ln 2 - 1/2 = 0.1931
    """
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError(f"there is no best of {n}")
    return math.log(n) - (n - 1) / n
    ### END SOLUTION


def expected_best_of_n(rewards: Float[Tensor, " m"], n: int) -> Float[Tensor, ""]:
    """Return the mean, over all C(M, n) subsets of n of the M rewards, of the largest in the subset.

    That is an unbiased estimate of E[max of n rewards], and the one of least variance that M samples allow. With the
    rewards in rising order, number i (from 1) is the largest of C(i - 1, n - 1) subsets. M may be thousands: binomials
    overflow, their logarithms do not. ValueError unless 1 <= n <= M.

    expected_best_of_n([1, 2, 4], 2) -> (2 + 4 + 4) / 3 = 10/3
    """
    ### BEGIN SOLUTION
    m = len(rewards)
    if not 1 <= n <= m:
        raise ValueError(f"{m} rewards have no subsets of {n}")
    i = torch.arange(n, m + 1, dtype=torch.float64, device=rewards.device)  # fewer than n - 1 rewards lie below others
    log_weights = torch.lgamma(i) - torch.lgamma(i - n + 1)  # ln C(i - 1, n - 1), but for what is the same for all i
    weights = torch.softmax(log_weights, dim=0)  # since they sum to 1, that does not matter
    return (weights * rewards.sort().values[n - 1 :]).sum().to(rewards.dtype)
    ### END SOLUTION


# --- probabilities of texts -------------------------------------------------------------------------------------------


def token_logprobs(logits: Float[Tensor, "b t v"], input_ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t-1"]:
    """Return ln p(input_ids[:, t + 1] | the tokens up to t) at [:, t]: logits at position t are for token t + 1.

    The first token is predicted by nothing and the last logits predict nothing, so there is one column less. The mask
    that belongs to it is response_mask[:, 1:].
    """
    ### BEGIN SOLUTION
    logprobs = F.log_softmax(logits[:, :-1], dim=-1)  # (B, T - 1, V)
    return logprobs.gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    ### END SOLUTION


def sequence_logprobs(
    logits: Float[Tensor, "b t v"], input_ids: Int[Tensor, "b t"], response_mask: Bool[Tensor, "b t"]
) -> Float[Tensor, " b"]:
    """Return ln p(response | prompt): the SUM of the log-probabilities of the tokens where `response_mask` is True.

    A True in column 0 counts nothing, for nothing predicts that token. A row without a response gives 0.

    Two tokens, uniform logits, response_mask [[False, True, True]] -> [-2 ln 2]
    """
    ### BEGIN SOLUTION
    return token_logprobs(logits, input_ids).masked_fill(~response_mask[:, 1:], 0.0).sum(dim=1)
    ### END SOLUTION


def dpo_loss(
    pi_chosen: Float[Tensor, " b"],
    pi_rejected: Float[Tensor, " b"],
    ref_chosen: Float[Tensor, " b"],
    ref_rejected: Float[Tensor, " b"],
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Return (losses, chosen_rewards, rejected_rewards), one each a pair (Rafailov et al. 2023, equation 7).

    Arguments are `sequence_logprobs` under the policy and under the frozen reference. The implied reward of a text is
    beta * (pi - ref); with d the chosen one's minus the rejected one's, the loss is -ln sigmoid(d), or with
    `label_smoothing` e, the probability that a label is flipped, -(1 - e) ln sigmoid(d) - e ln sigmoid(-d) (Mitchell
    2023). The losses carry gradient to the policy; the rewards are for looking at and carry none.

    Where policy and reference agree, the losses are ln 2.
    """
    ### BEGIN SOLUTION
    chosen, rejected = beta * (pi_chosen - ref_chosen), beta * (pi_rejected - ref_rejected)
    difference = chosen - rejected
    losses = -(1 - label_smoothing) * F.logsigmoid(difference) - label_smoothing * F.logsigmoid(-difference)
    return losses, chosen.detach(), rejected.detach()
    ### END SOLUTION


def kl_estimates(
    logp: Float[Tensor, "..."], ref_logp: Float[Tensor, "..."]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."], Float[Tensor, "..."]]:
    """Return three estimates of KL(policy || reference), one each a token that was sampled from the policy.

    With d = ref_logp - logp: k1 = -d, k2 = d^2 / 2, k3 = e^d - d - 1 (Schulman 2020). k1 and k3 have the divergence as
    their mean, k2 does not; k2 and k3 are never negative, and k3 keeps its digits where d is tiny.

    kl_estimates(logp=[ln 0.5], ref_logp=[ln 0.25]) -> ([0.6931], [0.2402], [0.1931])
    """
    ### BEGIN SOLUTION
    d = ref_logp - logp
    return -d, d.square() / 2, torch.expm1(d) - d
    ### END SOLUTION


# --- advantages -------------------------------------------------------------------------------------------------------


def masked_mean(x: Float[Tensor, "..."], mask: Bool[Tensor, "..."], dim: int | None = None) -> Float[Tensor, "..."]:
    """Return the mean of x where `mask` (of the same shape) is True, over everything or along `dim`; of nothing, 0.

    masked_mean([[1, 2], [4, 9]], [[True, True], [True, False]]) -> 7/3;  with dim=1 -> [1.5, 4]
    """
    ### BEGIN SOLUTION
    return x.masked_fill(~mask, 0.0).sum(dim) / mask.sum(dim).clamp(min=1)
    ### END SOLUTION


def whiten(x: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"], eps: float = 1e-6) -> Float[Tensor, "b t"]:
    """Return (x - mean) / (std + eps) where `mask` is True, and 0 elsewhere.

    Mean and standard deviation are those of all the entries where `mask` is True, in all rows together; the variance
    divides by their number less one. A single entry becomes 0.

    whiten([[1, 3, 9]], [[True, True, False]]) -> [[-0.7071, 0.7071, 0]]
    """
    ### BEGIN SOLUTION
    centred = (x - masked_mean(x, mask)).masked_fill(~mask, 0.0)
    variance = centred.square().sum() / (mask.sum() - 1).clamp(min=1)
    return centred / (variance.sqrt() + eps)
    ### END SOLUTION


def token_rewards(
    scores: Float[Tensor, " b"],
    logp: Float[Tensor, "b t"],
    ref_logp: Float[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
    beta: float,
) -> Float[Tensor, "b t"]:
    """Return the reward of each token: -beta * (logp - ref_logp), plus the score of the text at its last real token.

    So a policy pays for leaving the reference token by token, and is paid by the reward model once, at the end
    (Ziegler et al. 2019, equation 2). Zero where `mask` is False; every row has a True. No gradient is carried.

    token_rewards([5], [[-1, -1, 0]], [[-2, -1, 0]], [[True, True, False]], beta=0.5) -> [[-0.5, 5, 0]]
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        rewards = (-beta * (logp - ref_logp)).masked_fill(~mask, 0.0)
        return rewards.scatter_add(1, last_token_index(mask)[:, None], scores[:, None])
    ### END SOLUTION


def gae(
    rewards: Float[Tensor, "b t"],
    values: Float[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
    gamma: float = 1.0,
    lam: float = 0.95,
) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"]]:
    """Return generalised advantage estimates and returns (Schulman et al. 2016, equation 16).

    Over the real tokens of a row, A_t = delta_t + gamma * lam * A_(t+1), with delta_t = r_t + gamma * V_(t+1) - V_t;
    after the last one the value is 0. Tokens where `mask` is False are passed over as if they were not there: wherever
    they stand, the others get what they would get without them, and they themselves get 0. Returns are A + V. No
    whitening, and no gradient is carried.

    gae([[0, 1]], [[0.5, 0.5]], [[True, True]], gamma=1, lam=1) -> ([[0.5, 0.5]], [[1, 1]])
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        advantages = torch.zeros_like(rewards)
        following = value_after = torch.zeros_like(rewards[:, 0])  # of the next real token
        for t in reversed(range(rewards.shape[1])):
            real = mask[:, t]
            delta = rewards[:, t] + gamma * value_after - values[:, t]
            following = torch.where(real, delta + gamma * lam * following, following)
            value_after = torch.where(real, values[:, t], value_after)
            advantages[:, t] = following
        return advantages.masked_fill(~mask, 0.0), (advantages + values).masked_fill(~mask, 0.0)
    ### END SOLUTION


def group_advantages(
    rewards: Float[Tensor, " p*g"], group_size: int, eps: float = 1e-6, normalize_std: bool = True
) -> Float[Tensor, " p*g"]:
    """Return each reward less the mean of its group, divided by (the group's standard deviation + eps).

    The rewards of one prompt's completions are neighbours: group p is rewards[p * G : (p + 1) * G], G = `group_size`.
    The variance divides by G - 1; a group of one gives 0. `normalize_std=False` leaves the division out (Liu et al.
    2025). ValueError where the rewards are no multiple of G. Shao et al. 2024, section 4.1.2.

    group_advantages([1, 3, 5, 5], group_size=2) -> [-0.7071, 0.7071, 0, 0]
    """
    ### BEGIN SOLUTION
    if len(rewards) % group_size:
        raise ValueError(f"{len(rewards)} rewards are no groups of {group_size}")
    groups = rewards.reshape(-1, group_size)  # (P, G)
    advantages = groups - groups.mean(dim=1, keepdim=True)
    if normalize_std:
        advantages = advantages / (groups.std(dim=1, keepdim=True, correction=min(1, group_size - 1)) + eps)
    return advantages.flatten()
    ### END SOLUTION


# --- policy gradients -------------------------------------------------------------------------------------------------


def clipped_objective(
    logp: Float[Tensor, "b t"],
    old_logp: Float[Tensor, "b t"],
    advantages: Float[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
    eps: float = 0.2,
) -> Float[Tensor, "b t"]:
    """Return min(w A, clip(w, 1 - eps, 1 + eps) A) for each token, w = exp(logp - old_logp); 0 where `mask` is False.

    Schulman et al. 2017, equation 7: to be maximised. The gradient is 0 where w has left the interval in the direction
    that A favours, and there alone. `old_logp` was measured when the tokens were sampled, and is a constant.

    logp - old_logp = ln 1.5 and eps = 0.2: A = 1 -> 1.2 (without gradient), A = -1 -> -1.5
    """
    ### BEGIN SOLUTION
    ratio = (logp - old_logp).masked_fill(~mask, 0.0).exp()  # masked before exp: an overflow there would be 0 * inf
    clipped = ratio.clamp(1 - eps, 1 + eps)
    return torch.minimum(ratio * advantages, clipped * advantages).masked_fill(~mask, 0.0)
    ### END SOLUTION


def ppo_clip_loss(
    logp: Float[Tensor, "b t"],
    old_logp: Float[Tensor, "b t"],
    advantages: Float[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
    eps: float = 0.2,
) -> Float[Tensor, ""]:
    """Return minus the mean of `clipped_objective` over the real tokens of the whole batch; 0 if there are none.

    logp = old_logp, advantages [[1, 3], [5, 0]], mask [[True, True], [True, False]] -> -3
    """
    ### BEGIN SOLUTION
    return -masked_mean(clipped_objective(logp, old_logp, advantages, mask, eps), mask)
    ### END SOLUTION


def grpo_loss(
    logp: Float[Tensor, "b t"],
    old_logp: Float[Tensor, "b t"],
    advantages: Float[Tensor, " b"],
    mask: Bool[Tensor, "b t"],
    *,
    eps: float = 0.2,
    beta: float = 0.0,
    ref_logp: Float[Tensor, "b t"] | None = None,
    loss_agg: Literal["sequence", "token", "constant"] = "sequence",
    constant: float | None = None,
) -> Float[Tensor, ""]:
    """Return minus the aggregate of `clipped_objective` - beta * k3 over tokens (Shao et al. 2024, equation 3).

    All tokens of a completion share its advantage; k3 is that of `kl_estimates`, and `beta` > 0 needs `ref_logp`. The
    aggregate is, with `loss_agg`

    - "sequence": the mean over the real tokens of each sequence, then over all B sequences (Shao et al. 2024);
    - "token": the sum over all real tokens, divided by their number (Yu et al. 2025, DAPO);
    - "constant": the sum over all real tokens, divided by B * `constant`; None is T (Liu et al. 2025, Dr. GRPO).

    A sequence without real tokens counts 0. ValueError for any other `loss_agg`, or for a `beta` without `ref_logp`.

    logp = old_logp, advantages [1, -1], one and three real tokens of T = 4: "sequence" -> 0, "token" -> 1/2,
    "constant" -> 1/4
    """
    ### BEGIN SOLUTION
    objective = clipped_objective(logp, old_logp, advantages[:, None], mask, eps)
    if beta:
        if ref_logp is None:
            raise ValueError("beta without ref_logp: there is nothing to stay near to")
        k3 = kl_estimates(logp.masked_fill(~mask, 0.0), ref_logp.masked_fill(~mask, 0.0))[2]
        objective = objective - beta * k3  # 0 where the mask is False
    if loss_agg == "sequence":
        return -masked_mean(objective, mask, dim=1).mean()
    if loss_agg == "token":
        return -masked_mean(objective, mask)
    if loss_agg == "constant":
        return -objective.sum() / (len(mask) * (mask.shape[1] if constant is None else constant))
    raise ValueError(f"loss_agg={loss_agg!r} is not sequence, token or constant")
    ### END SOLUTION


# --- training a policy ------------------------------------------------------------------------------------------------


@torch.no_grad()
def sample_responses(
    policy: nn.Module,
    prompts: Int[Tensor, "p prompt_length"],
    group_size: int,
    max_new_tokens: int,
    *,
    eos_id: int,
    pad_id: int,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, "p*g t"], Bool[Tensor, "p*g t"]]:
    """Return `group_size` sampled continuations of each prompt, as neighbours, and the mask of the response. (Given.)

    A response ends with `eos_id`, which belongs to it, or after `max_new_tokens`; `pad_id` follows. `policy(input_ids
    (B, T))` returns logits (B, T, V). The generator is the CPU's.
    """
    input_ids = prompts.repeat_interleave(group_size, dim=0)  # (P * G, T)
    running = torch.ones(len(input_ids), dtype=torch.bool, device=prompts.device)
    real = torch.zeros_like(input_ids, dtype=torch.bool)
    for _ in range(max_new_tokens):
        probabilities = policy(input_ids)[:, -1].float().softmax(dim=-1).cpu()
        drawn = torch.multinomial(probabilities, 1, generator=generator).squeeze(1).to(input_ids.device)
        input_ids = torch.cat((input_ids, torch.where(running, drawn, pad_id)[:, None]), dim=1)
        real = torch.cat((real, running[:, None]), dim=1)
        running = running & (drawn != eos_id)
    return input_ids, real


def train_policy(
    policy: nn.Module,
    reward_fn: Callable[[Tensor, Tensor], Tensor],
    prompts: Int[Tensor, "p prompt_length"],
    *,
    steps: int,
    max_new_tokens: int,
    eos_id: int,
    pad_id: int,
    group_size: int = 8,
    updates: int = 1,
    learning_rate: float = 1e-2,
    eps: float = 0.2,
    beta: float = 0.0,
    on_step: Callable[[int, nn.Module], None] | None = None,
    generator: torch.Generator | None = None,
) -> list[float]:
    """Train `policy` in place towards `reward_fn` by GRPO; return the mean reward of the samples of each step.

    Each of the `steps` steps samples `group_size` responses to every prompt (`sample_responses`, from the policy as it
    is now), scores them with one call `reward_fn(input_ids, attention_mask) -> (P * G,)`, where prompt and response are
    real and the padding is not, and makes their `group_advantages`. On these samples it takes `updates` steps of
    torch.optim.Adam on the `grpo_loss`, with the log-probabilities that the policy had when it sampled as `old_logp`
    and, where beta > 0, those of the policy as it was before training as `ref_logp`. After each step it calls
    `on_step(step, policy)`, the first step being 1. The same state of `generator` gives the same policy.
    """
    ### BEGIN SOLUTION
    reference = copy.deepcopy(policy)
    optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)
    means = []
    for step in range(1, steps + 1):
        input_ids, response_mask = sample_responses(
            policy, prompts, group_size, max_new_tokens, eos_id=eos_id, pad_id=pad_id, generator=generator
        )
        attention_mask = response_mask.clone()
        attention_mask[:, : prompts.shape[1]] = True
        mask = response_mask[:, 1:]  # of the predicted tokens
        with torch.no_grad():
            rewards = reward_fn(input_ids, attention_mask)
            old_logp = token_logprobs(policy(input_ids), input_ids)
            ref_logp = token_logprobs(reference(input_ids), input_ids)
        advantages = group_advantages(rewards, group_size)
        for _ in range(updates):
            logp = token_logprobs(policy(input_ids), input_ids)
            loss = grpo_loss(logp, old_logp, advantages, mask, eps=eps, beta=beta, ref_logp=ref_logp)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        means.append(rewards.mean().item())
        if on_step is not None:
            on_step(step, policy)
    return means
    ### END SOLUTION
