"""A valid solution: loops over prompts and pairs, exact binomials, cases instead of minima, epochs instead of draws."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


def last_token_index(attention_mask):
    n = attention_mask.shape[1]
    return n - 1 - attention_mask.flip(1).long().argmax(1)


class RewardModel(nn.Module):
    def __init__(self, backbone, d_model, generator=None):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(d_model, 1, bias=False)
        nn.init.normal_(self.head.weight, std=1 / math.sqrt(d_model + 1), generator=generator)

    def forward(self, input_ids, attention_mask):
        every = self.head(self.backbone(input_ids, attention_mask=attention_mask))[..., 0]
        return every.gather(1, last_token_index(attention_mask).unsqueeze(1)).squeeze(1)


def bradley_terry_loss(r_chosen, r_rejected, margin=None):
    lead = r_chosen - r_rejected - (0 if margin is None else margin)
    return torch.logaddexp(torch.zeros_like(lead), -lead).mean()


def kwise_ranking_loss(rewards, ranks):
    prompts = []
    for scores, order in zip(rewards, ranks.tolist(), strict=True):
        winners, losers = [], []
        for i in range(len(order)):
            for j in range(len(order)):
                if 0 <= order[i] < order[j]:
                    winners.append(i)
                    losers.append(j)
        if winners:
            prompts.append(bradley_terry_loss(scores[winners], scores[losers]))
    if not prompts:
        return rewards.sum() * 0
    return sum(prompts) / len(prompts)


def train_reward_model(
    model, input_ids, attention_mask, ranks, *, steps, batch_size=32, learning_rate=1e-2, generator=None
):
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses, queue = [], []
    for _ in range(steps):
        while len(queue) < batch_size:  # epoch after epoch, each in an order of its own
            queue += torch.randperm(len(ranks), generator=generator).tolist()
        rows, queue = queue[:batch_size], queue[batch_size:]
        optimizer.zero_grad(set_to_none=False)
        scores = []
        for k in range(ranks.shape[1]):
            scores.append(model(input_ids[rows, k], attention_mask[rows, k]))
        loss = kwise_ranking_loss(torch.stack(scores, dim=1), ranks[rows])
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


class RewardNormalizer:
    def __init__(self, scale=False, eps=1e-6):
        self.scale, self.eps = scale, eps
        self.mean = self.std = None

    def fit(self, rewards):
        n = len(rewards)
        self.mean = rewards.sum() / n
        self.std = ((rewards - self.mean) ** 2).sum().div(max(n - 1, 1)).sqrt()
        return self

    def __call__(self, rewards):
        if self.mean is None:
            raise RuntimeError("not fitted")
        out = rewards - self.mean
        if self.scale:
            out = out / (self.std + self.eps)
        return out


def pairwise_accuracy(r_chosen, r_rejected):
    hits = 0.0
    for a, b in zip(r_chosen.tolist(), r_rejected.tolist(), strict=True):
        hits += 1.0 if a > b else 0.5 if a == b else 0.0
    return hits / r_chosen.numel()


def expected_calibration_error(probs, outcomes, n_bins=10):
    total = 0.0
    outcomes = outcomes.double()
    for m in range(n_bins):
        inside = (probs > m / n_bins) & (probs <= (m + 1) / n_bins)
        if m == 0:
            inside = inside | (probs == 0)
        if inside.any():
            share = inside.double().mean()
            total += float(share * (outcomes[inside].mean() - probs[inside].double().mean()).abs())
    return total


def best_of_n(rewards):
    return rewards.max(dim=1).indices


def best_of_n_kl(n):
    if n < 1:
        raise ValueError("n must be at least 1")
    return math.log(n) - 1 + 1 / n


def expected_best_of_n(rewards, n):
    m = rewards.numel()
    if n < 1 or n > m:
        raise ValueError("n must be between 1 and the number of rewards")
    total, subsets, mean = math.comb(m, n), 1, 0.0
    for i, reward in enumerate(sorted(rewards.tolist())[n - 1 :], n):
        mean += subsets / total * reward
        subsets = subsets * i // (i - n + 1)
    return torch.tensor(mean, dtype=rewards.dtype, device=rewards.device)


def token_logprobs(logits, input_ids):
    b, t, v = logits.shape
    nll = F.cross_entropy(logits[:, : t - 1].reshape(-1, v), input_ids[:, 1:].reshape(-1), reduction="none")
    return -nll.reshape(b, t - 1)


def sequence_logprobs(logits, input_ids, response_mask):
    each = token_logprobs(logits, input_ids)
    return torch.stack([row[real].sum() for row, real in zip(each, response_mask[:, 1:], strict=True)])


def dpo_loss(pi_chosen, pi_rejected, ref_chosen, ref_rejected, beta=0.1, label_smoothing=0.0):
    logits = beta * ((pi_chosen - pi_rejected) - (ref_chosen - ref_rejected))
    losses = F.softplus(-logits) * (1 - label_smoothing) + F.softplus(logits) * label_smoothing
    with torch.no_grad():
        return losses, beta * (pi_chosen - ref_chosen), beta * (pi_rejected - ref_rejected)


def kl_estimates(logp, ref_logp):
    k1 = logp - ref_logp
    return k1, 0.5 * k1 * k1, k1 + torch.expm1(-k1)


def masked_mean(x, mask, dim=None):
    kept = torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device))
    if dim is None:
        return kept.sum() / max(int(mask.sum()), 1)
    count = mask.sum(dim)
    return torch.where(count > 0, kept.sum(dim) / count.clamp(min=1), torch.zeros_like(kept.sum(dim)))


def whiten(x, mask, eps=1e-6):
    out = torch.zeros_like(x)
    real = x[mask]
    if len(real) > 1:
        out[mask] = (real - real.mean()) / (real.std() + eps)
    return out


def token_rewards(scores, logp, ref_logp, mask, beta):
    rewards = torch.zeros_like(logp)
    for b in range(len(mask)):
        for t in mask[b].nonzero()[:, 0].tolist():
            rewards[b, t] = -beta * (logp[b, t].detach() - ref_logp[b, t].detach())
        rewards[b, t] += scores[b].detach()
    return rewards


def gae(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for b in range(len(mask)):
        real = mask[b]
        r, v = rewards[b, real].detach(), values[b, real].detach()
        if len(r):
            delta = r + gamma * torch.cat((v[1:], v.new_zeros(1))) - v
            t = torch.arange(len(r), device=r.device)
            later = (t[None, :] - t[:, None]).clamp(min=0)
            fading = torch.where(t[None, :] >= t[:, None], torch.tensor(gamma * lam, dtype=torch.float64) ** later, 0.0)
            advantages[b, real] = (fading @ delta.double()).to(r.dtype)
            returns[b, real] = advantages[b, real] + v
    return advantages, returns


def group_advantages(rewards, group_size, eps=1e-6, normalize_std=True):
    if rewards.numel() % group_size != 0:
        raise ValueError("no whole groups")
    out = []
    for group in rewards.split(group_size):
        centred = group - group.mean()
        if normalize_std:
            deviation = group.std() if group_size > 1 else torch.zeros_like(group[0])
            centred = centred / (deviation + eps)
        out.append(centred)
    return torch.cat(out)


def clipped_objective(logp, old_logp, advantages, mask, eps=0.2):
    log_ratio = torch.where(mask, logp - old_logp, torch.zeros_like(logp))
    ratio = torch.exp(log_ratio)
    ratio = torch.where((advantages >= 0) & (ratio > 1 + eps), torch.full_like(ratio, 1 + eps), ratio)
    ratio = torch.where((advantages < 0) & (ratio < 1 - eps), torch.full_like(ratio, 1 - eps), ratio)
    return torch.where(mask, ratio * advantages, torch.zeros_like(ratio))


def ppo_clip_loss(logp, old_logp, advantages, mask, eps=0.2):
    return -clipped_objective(logp, old_logp, advantages, mask, eps).sum() / mask.sum().clamp(min=1)


def grpo_loss(
    logp, old_logp, advantages, mask, *, eps=0.2, beta=0.0, ref_logp=None, loss_agg="sequence", constant=None
):
    if loss_agg not in ("sequence", "token", "constant"):
        raise ValueError("unknown loss_agg")
    if beta > 0 and ref_logp is None:
        raise ValueError("beta needs ref_logp")
    totals, counts = [], []
    for b in range(len(mask)):
        real = mask[b]
        here = clipped_objective(logp[b, real], old_logp[b, real], advantages[b], torch.ones_like(real[real]), eps)
        if beta > 0:
            here = here - beta * kl_estimates(logp[b, real], ref_logp[b, real])[2]
        totals.append(here.sum())
        counts.append(max(int(real.sum()), 1))
    if loss_agg == "sequence":
        return -torch.stack([total / count for total, count in zip(totals, counts, strict=True)]).mean()
    total = torch.stack(totals).sum()
    if loss_agg == "token":
        return -total / max(int(mask.sum()), 1)
    return -total / len(mask) / (mask.shape[1] if constant is None else constant)


@torch.no_grad()
def sample_responses(policy, prompts, group_size, max_new_tokens, *, eos_id, pad_id, generator=None):
    input_ids = prompts.repeat_interleave(group_size, dim=0)
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
    optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    means = []
    for number in range(steps):
        input_ids, response = sample_responses(
            policy, prompts, group_size, max_new_tokens, eos_id=eos_id, pad_id=pad_id, generator=generator
        )
        prompt = torch.arange(input_ids.shape[1], device=input_ids.device) < prompts.shape[1]
        rewards = reward_fn(input_ids, response | prompt).detach()
        means.append(float(rewards.mean()))
        advantages = group_advantages(rewards, group_size)
        with torch.no_grad():
            old = token_logprobs(policy(input_ids), input_ids)
            reference = None
            if beta:
                now = {name: value.clone() for name, value in policy.state_dict().items()}
                policy.load_state_dict(before)
                reference = token_logprobs(policy(input_ids), input_ids)
                policy.load_state_dict(now)
        for _ in range(updates):
            new = token_logprobs(policy(input_ids), input_ids)
            loss = grpo_loss(new, old, advantages, response[:, 1:], eps=eps, beta=beta, ref_logp=reference)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if on_step:
            on_step(number + 1, policy)
    return means
