"""Every function of the rlhf assignment that works on tensors."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Generator, Tensor

from autograder.given.policies import PolicyTable, RunningSum
from autograder.given.preferences import KnownReward, random_texts
from gpu_cases import Case

EOS, PAD = 1, 0


def normal(
    small: tuple[int, ...], large: tuple[int, ...], n: int = 1
) -> Callable[[Generator, bool], tuple[Tensor, ...]]:
    """`n` tensors of standard normals."""
    return lambda generator, is_large: tuple(
        torch.randn(large if is_large else small, generator=generator, dtype=torch.float64) for _ in range(n)
    )


PAIRS = normal((64,), (1 << 20,), n=4)
TOKENS = normal((6, 40), (1024, 1024), n=4)
TEXT = normal((3, 20, 50), (8, 1024, 8192))


def real(x: Tensor) -> Tensor:
    """A mask (B, T) of x's rows: padding on the right, none in the first."""
    b, t = x.shape[:2]
    lengths = t - torch.arange(b, device=x.device) % max(t // 2, 1)
    return torch.arange(t, device=x.device) < lengths[:, None]


def ids(x: Tensor) -> Tensor:
    b, t, v = x.shape
    return torch.arange(b * t, device=x.device).view(b, t) * 7 % v


def ranks(rewards: Tensor) -> Tensor:
    """A tie in each row, and an absent completion in some."""
    order = torch.arange(rewards.shape[1], device=rewards.device).expand(rewards.shape).clone()
    order[:, 1] = 0
    order[::3, -1] = -1
    return order


def last(rlhf: ModuleType, x: Tensor) -> Tensor:
    return rlhf.last_token_index(real(x)).to(x.dtype)


def reward_model(rlhf: ModuleType, anchor: Tensor) -> Tensor:
    """The scores of texts, on a body whose weights are drawn on the CPU. `anchor` says where, and in what dtype."""
    body = RunningSum(12, 16, seed=1)
    model = rlhf.RewardModel(body, 16, generator=torch.Generator().manual_seed(0)).to(anchor.device, anchor.dtype)
    input_ids, mask = random_texts(len(anchor), 1, 12, max_length=8, seed=2)
    return model(input_ids[:, 0].to(anchor.device), mask[:, 0].to(anchor.device))


def ranking_gradient(rlhf: ModuleType, rewards: Tensor) -> Tensor:
    leaf = rewards.clone().requires_grad_()
    with torch.enable_grad():
        rlhf.kwise_ranking_loss(leaf, ranks(rewards)).backward()
    return leaf.grad


def normalizer(rlhf: ModuleType, a: Tensor, b: Tensor, *_: Tensor) -> Tensor:
    return rlhf.RewardNormalizer(scale=True).fit(a)(b)


def calibration(rlhf: ModuleType, a: Tensor, b: Tensor, *_: Tensor) -> Tensor:
    """The two numbers that come as floats; probabilities off the edges of bins in every dtype."""
    probs = (torch.floor(a.abs() * 3) % 10 + 0.5) / 10
    found = [rlhf.expected_calibration_error(probs, b > 0), rlhf.pairwise_accuracy(a, b)]
    return torch.tensor(found, device=a.device, dtype=a.dtype)


def best_of_n(rlhf: ModuleType, rewards: Tensor) -> Tensor:
    chosen = rewards.gather(1, rlhf.best_of_n(rewards)[:, None])[:, 0]
    return torch.cat((chosen, rlhf.expected_best_of_n(rewards.flatten(), 16)[None]))


def dpo(rlhf: ModuleType, *logps: Tensor) -> Tensor:
    return torch.stack(rlhf.dpo_loss(*logps, beta=0.5, label_smoothing=0.1))


def gae(rlhf: ModuleType, rewards: Tensor, values: Tensor, *_: Tensor) -> Tensor:
    return torch.stack(rlhf.gae(rewards, values, real(rewards), 0.99, 0.95))


def token_rewards(rlhf: ModuleType, logp: Tensor, ref_logp: Tensor, *_: Tensor) -> Tensor:
    return rlhf.token_rewards(logp[:, 0], logp, ref_logp, real(logp), 0.1)


def loss_gradient(rlhf: ModuleType, logp: Tensor, noise: Tensor, advantages: Tensor, ref: Tensor) -> Tensor:
    """The gradients of both losses; ratios stay off the ends of the interval."""
    gradients = []
    for kind in ("ppo", "sequence", "token", "constant"):
        leaf = logp.clone().requires_grad_()
        old = leaf.detach() + 0.5 * torch.where(noise > 0, 1.0, -1.0).to(noise.dtype)
        with torch.enable_grad():
            if kind == "ppo":
                loss = rlhf.ppo_clip_loss(leaf, old, advantages, real(logp))
            else:
                loss = rlhf.grpo_loss(
                    leaf, old, advantages[:, 0], real(logp), beta=0.1, ref_logp=leaf.detach() + 0.1 * ref, loss_agg=kind
                )
            loss.backward()
        gradients.append(leaf.grad)
    return torch.stack(gradients)


def trained_reward_model(rlhf: ModuleType, anchor: Tensor) -> Tensor:
    """The losses of a few steps: prompts are drawn on the CPU, so they are the same everywhere."""
    model = rlhf.RewardModel(RunningSum(12, 16, seed=1), 16, generator=torch.Generator().manual_seed(0))
    model.to(anchor.device, anchor.dtype)
    input_ids, mask = (x.to(anchor.device) for x in random_texts(64, 4, 12, seed=2))
    order = torch.arange(4, device=anchor.device).expand(64, 4)
    with torch.enable_grad():
        losses = rlhf.train_reward_model(
            model, input_ids, mask, order, steps=10, generator=torch.Generator().manual_seed(3)
        )
    return torch.tensor(losses, device=anchor.device, dtype=anchor.dtype)


def trained_policy(rlhf: ModuleType, anchor: Tensor) -> Tensor:
    """What a policy of one choice has learned: draws may differ from dtype to dtype, what it comes to hardly."""
    policy = PolicyTable(torch.zeros(4, 4)).to(anchor.device, anchor.dtype)
    reward = KnownReward(torch.tensor([0.0, 0.0, 4.0, 0.0])).to(anchor.device, anchor.dtype)
    prompts = torch.full((8, 1), 3, device=anchor.device)
    with torch.enable_grad():
        rlhf.train_policy(
            policy, reward, prompts, steps=60, max_new_tokens=1, eos_id=EOS, pad_id=PAD, learning_rate=0.2,
            generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
    return policy.table.detach()[3].softmax(-1)


CASES = [
    Case("last_token_index", normal((6, 9), (65536, 512)), last),
    Case("RewardModel", normal((8,), (4096,)), reward_model),
    Case("bradley_terry_loss", PAIRS, lambda rlhf, a, b, m, _: rlhf.bradley_terry_loss(a, b, m.abs())),
    Case("kwise_ranking_loss", normal((6, 5), (8192, 9)), lambda rlhf, r: rlhf.kwise_ranking_loss(r, ranks(r))),
    Case("its gradient", normal((6, 5), (8192, 9)), ranking_gradient, bfloat16=5e-2),
    Case("train_reward_model", normal((1,), (1,)), trained_reward_model, float32=1e-4, bfloat16=1e-1),
    Case("RewardNormalizer", PAIRS, normalizer),
    Case("calibration", PAIRS, calibration),
    Case("best_of_n", normal((5, 8), (1024, 1024)), best_of_n),
    Case("sequence_logprobs", TEXT, lambda rlhf, x: rlhf.sequence_logprobs(x, ids(x), real(x))),
    Case("dpo_loss", PAIRS, dpo),
    Case("kl_estimates", TOKENS, lambda rlhf, p, q, *_: torch.stack(rlhf.kl_estimates(p, q)), bfloat16=5e-2),
    Case("whiten", TOKENS, lambda rlhf, x, *_: rlhf.whiten(x, real(x))),
    Case("token_rewards", TOKENS, token_rewards),
    Case("gae", TOKENS, gae, bfloat16=5e-2),
    Case("group_advantages", normal((32,), (1 << 20,)), lambda rlhf, r: rlhf.group_advantages(r, 8)),
    Case("gradients of ppo and grpo", TOKENS, loss_gradient, bfloat16=5e-2),
    Case("train_policy", normal((1,), (1,)), trained_policy, float32=5e-2, bfloat16=1e-1),
]
