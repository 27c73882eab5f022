"""A valid solution: scans by doubling, pairs from a table of combinations, one-hot products, its own sampling."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn


def last_token_index(attention_mask):
    seen_from_the_right = attention_mask.long().flip(1).cumsum(1).flip(1)
    return (seen_from_the_right > 0).sum(1) - 1


class RewardModel(nn.Module):
    def __init__(self, backbone, d_model, generator=None):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(d_model, 1, bias=False)
        nn.init.normal_(self.head.weight, std=(d_model + 1) ** -0.5, generator=generator)

    def forward(self, input_ids, attention_mask):
        hidden = self.backbone(input_ids, attention_mask)
        chosen = F.one_hot(last_token_index(attention_mask), hidden.shape[1]).to(hidden.dtype)
        return torch.einsum("bt,btc,c->b", chosen, hidden, self.head.weight[0])


def bradley_terry_loss(r_chosen, r_rejected, margin=None):
    lead = r_chosen - r_rejected
    lead = lead if margin is None else lead - margin
    return F.binary_cross_entropy_with_logits(lead, torch.ones_like(lead))


def kwise_ranking_loss(rewards, ranks):
    k = ranks.shape[1]
    i, j = torch.combinations(torch.arange(k, device=ranks.device), 2).unbind(1)
    first, second = ranks[:, i], ranks[:, j]
    counts = (first >= 0) & (second >= 0) & (first != second)
    sign = torch.sign(second - first).to(rewards.dtype)
    lead = torch.where(counts, sign * (rewards[:, i] - rewards[:, j]), torch.zeros((), dtype=rewards.dtype))
    losses = torch.where(counts, F.softplus(-lead), torch.zeros((), dtype=rewards.dtype))
    n_pairs = counts.sum(1)
    some = n_pairs > 0
    weights = torch.where(some, 1 / n_pairs.clamp(min=1), 0.0) / some.sum().clamp(min=1)
    return (losses.sum(1) * weights.to(rewards.dtype)).sum()


def train_reward_model(
    model, input_ids, attention_mask, ranks, *, steps, batch_size=32, learning_rate=1e-2, generator=None
):
    n, k, t = input_ids.shape
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, foreach=False)
    losses = []
    for _ in range(steps):
        order = torch.rand(n, generator=generator).argsort()  # without repeats in a batch, where there are enough
        rows = order.repeat(-(-batch_size // n))[:batch_size]
        rewards = model(input_ids[rows].reshape(-1, t), attention_mask[rows].reshape(-1, t)).reshape(-1, k)
        loss = kwise_ranking_loss(rewards, ranks[rows])
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        losses.append(loss.detach())
    return [float(loss) for loss in losses]


class RewardNormalizer:
    def __init__(self, scale=False, eps=1e-6):
        self.scale, self.eps, self.fitted = scale, eps, False

    def fit(self, rewards):
        variance, self.mean = torch.var_mean(rewards, correction=1 if len(rewards) > 1 else 0)
        self.std, self.fitted = variance.sqrt(), True
        return self

    def __call__(self, rewards):
        if not self.fitted:
            raise RuntimeError("call fit first")
        return (rewards - self.mean) / (self.std + self.eps if self.scale else 1.0)


def pairwise_accuracy(r_chosen, r_rejected):
    return (torch.sign(r_chosen - r_rejected).double().mean().item() + 1) / 2


def expected_calibration_error(probs, outcomes, n_bins=10):
    edges = torch.linspace(0, 1, n_bins + 1, dtype=torch.float64)[1:-1]
    bins = F.one_hot(torch.bucketize(probs.double(), edges), n_bins).double()  # (lo, hi]
    held = bins.sum(0).clamp(min=1)
    gap = (bins.T @ outcomes.double()) / held - (bins.T @ probs.double()) / held
    return float((bins.mean(0) * gap.abs()).sum())


def best_of_n(rewards):
    return torch.sort(rewards, dim=1, descending=True, stable=True).indices[:, 0]


def best_of_n_kl(n):
    if n < 1:
        raise ValueError(n)
    return math.log(n) - (n - 1) / n


def expected_best_of_n(rewards, n):
    m = len(rewards)
    if not 0 < n <= m:
        raise ValueError(n)
    falling = rewards.double().sort(descending=True).values
    # The largest is in a subset with probability n / M; else the next is, with probability n / (M - 1); and so on.
    left = torch.arange(m, n - 1, -1, dtype=torch.float64)  # how many are left when number j is asked for
    stay = torch.log1p(-n / left[:-1])
    reached = torch.cat((torch.zeros(1, dtype=torch.float64), stay.cumsum(0))).exp()
    return (reached * n / left * falling[: len(left)]).sum().to(rewards.dtype)


def token_logprobs(logits, input_ids):
    wanted = F.one_hot(input_ids[:, 1:], logits.shape[-1]).bool()
    return logits[:, :-1].log_softmax(-1).masked_fill(~wanted, 0).sum(-1)


def sequence_logprobs(logits, input_ids, response_mask):
    each = F.pad(token_logprobs(logits, input_ids), (1, 0))  # the first token costs nothing
    return torch.where(response_mask, each, torch.zeros_like(each)).sum(-1)


def dpo_loss(pi_chosen, pi_rejected, ref_chosen, ref_rejected, beta=0.1, label_smoothing=0.0):
    chosen, rejected = (beta * (pi - ref) for pi, ref in ((pi_chosen, ref_chosen), (pi_rejected, ref_rejected)))
    target = torch.full_like(chosen, 1 - label_smoothing)
    losses = F.binary_cross_entropy_with_logits(chosen - rejected, target, reduction="none")
    return losses, chosen.detach(), rejected.detach()


def kl_estimates(logp, ref_logp):
    difference = torch.sub(ref_logp, logp)
    return torch.neg(difference), difference.pow(2).div(2), torch.expm1(difference).sub(difference)


def masked_mean(x, mask, dim=None):
    x = torch.where(mask, x, torch.zeros_like(x))
    if dim is None:
        x, mask, dim = x.flatten(), mask.flatten(), 0
    return x.sum(dim) / mask.sum(dim).clamp(min=1).to(x.dtype)


def whiten(x, mask, eps=1e-6):
    n = mask.sum()
    x = torch.where(mask, x, torch.zeros_like(x))
    mean = x.sum() / n.clamp(min=1)
    centred = torch.where(mask, x - mean, torch.zeros_like(x))
    std = torch.linalg.vector_norm(centred) / (n - 1).clamp(min=1).sqrt()
    return centred / (std + eps)


def token_rewards(scores, logp, ref_logp, mask, beta):
    penalty = torch.where(mask, beta * (ref_logp - logp), torch.zeros_like(logp))
    last = torch.arange(mask.shape[1], device=mask.device) == last_token_index(mask)[:, None]
    return (penalty + torch.where(last, scores[:, None], torch.zeros_like(logp))).detach()


def gae(rewards, values, mask, gamma=1.0, lam=0.95):
    # Real tokens are moved to the front, so that each is followed by the next; a scan by doubling; and back again.
    order = (~mask).long().argsort(dim=1, stable=True)
    real = mask.gather(1, order)
    r, v = (torch.where(real, x.detach().gather(1, order), torch.zeros_like(x)) for x in (rewards, values))
    total = r + gamma * F.pad(v[:, 1:], (0, 1)) - v
    step, fading = 1, gamma * lam
    while step < mask.shape[1]:
        total = total + fading * F.pad(total[:, step:], (0, step))
        step, fading = 2 * step, fading * fading
    total = torch.where(real, total, torch.zeros_like(total))
    back = order.argsort(dim=1)
    return total.gather(1, back), (total + v).gather(1, back)


def group_advantages(rewards, group_size, eps=1e-6, normalize_std=True):
    if len(rewards) % group_size:
        raise ValueError("not a multiple of the size of a group")
    groups = rewards.unflatten(0, (-1, group_size))
    centred = groups - groups.mean(1, keepdim=True)
    if not normalize_std:
        return centred.flatten()
    deviation = torch.linalg.vector_norm(centred, dim=1, keepdim=True) / math.sqrt(max(group_size - 1, 1))
    return centred.div(deviation + eps).flatten()


def clipped_objective(logp, old_logp, advantages, mask, eps=0.2):
    ratio = torch.where(mask, logp - old_logp, torch.zeros_like(logp)).exp()
    capped = torch.where(advantages > 0, ratio.clamp(max=1 + eps), ratio.clamp(min=1 - eps))
    return torch.where(mask, capped * advantages, torch.zeros_like(capped))


def ppo_clip_loss(logp, old_logp, advantages, mask, eps=0.2):
    return masked_mean(-clipped_objective(logp, old_logp, advantages, mask, eps), mask)


def grpo_loss(
    logp, old_logp, advantages, mask, *, eps=0.2, beta=0.0, ref_logp=None, loss_agg="sequence", constant=None
):
    b, t = mask.shape
    lengths = mask.sum(1)
    if loss_agg == "sequence":
        weights = 1 / (b * lengths.clamp(min=1))
    elif loss_agg == "token":
        weights = 1 / lengths.sum().clamp(min=1).expand(b)
    elif loss_agg == "constant":
        weights = torch.full((b,), 1 / (b * (t if constant is None else constant)), device=mask.device)
    else:
        raise ValueError(loss_agg)
    weights = weights[:, None].to(logp.dtype) * mask
    each = clipped_objective(logp, old_logp, advantages.unsqueeze(1).expand(b, t), mask, eps)
    if beta != 0:
        if ref_logp is None:
            raise ValueError("beta without a reference")
        gap = torch.where(mask, ref_logp - logp, torch.zeros_like(logp))
        each = each - beta * (torch.expm1(gap) - gap)
    return -(each * weights).sum() if loss_agg != "constant" or constant is None else -each.sum() / (b * constant)


@torch.no_grad()
def sample_responses(policy, prompts, group_size, max_new_tokens, *, eos_id, pad_id, generator=None):
    p, length = prompts.shape
    input_ids = prompts[:, None].expand(p, group_size, length).reshape(-1, length)
    real = torch.zeros_like(input_ids, dtype=torch.bool)
    running = torch.ones(len(input_ids), dtype=torch.bool)
    for _ in range(max_new_tokens):
        logits = policy(input_ids)[:, -1]
        noise = torch.empty(logits.shape).exponential_(generator=generator).log()
        drawn = (logits - noise.to(logits.dtype)).argmax(-1)  # the Gumbel-max trick
        input_ids = torch.cat((input_ids, drawn.masked_fill(~running, pad_id)[:, None]), dim=1)
        real = torch.cat((real, running[:, None]), dim=1)
        running = running & (drawn != eos_id)
    return input_ids, real


def train_policy(
    policy,
    reward_fn,
    prompts,
    *,
    steps,
    max_new_tokens,
    eos_id,
    pad_id,
    group_size=8,
    updates=1,
    learning_rate=1e-2,
    eps=0.2,
    beta=0.0,
    on_step=None,
    generator=None,
):
    frozen = copy.deepcopy(policy).requires_grad_(False)
    optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate, foreach=False)
    history = []
    for step in range(1, steps + 1):
        ids, response = sample_responses(
            policy, prompts, group_size, max_new_tokens, eos_id=eos_id, pad_id=pad_id, generator=generator
        )
        with torch.no_grad():
            whole = torch.cat((torch.ones_like(prompts, dtype=torch.bool).repeat_interleave(group_size, 0),
                               response[:, prompts.shape[1] :]), dim=1)  # fmt: skip
            rewards = reward_fn(ids, whole)
            reference = token_logprobs(frozen(ids), ids)
        advantages = group_advantages(rewards, group_size)
        old = None
        for _ in range(updates):
            logp = token_logprobs(policy(ids), ids)
            old = logp.detach() if old is None else old  # at the first update the policy is the one that sampled
            optimizer.zero_grad()
            grpo_loss(
                logp, old, advantages, response[:, 1:], eps=eps, beta=beta, ref_logp=reference
            ).backward()  # fmt: skip
            optimizer.step()
        history.append(float(rewards.mean()))
        if on_step is not None:
            on_step(step, policy)
    return history
