"""Preferences with a known reward: texts of letters, ranked by somebody of known taste and unsteady hand.

Real preferences come without the truth behind them. These have it, so what a reward model learned can be compared with
what there was to learn, and a policy that pleases the reward model with what pleases the known reward.

A text is a row of token ids: 0 is padding, 1 ends a completion, the others are letters.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

PAD, EOS, FIRST_LETTER = 0, 1, 2


class KnownReward(nn.Module):
    """The reward of a text: the weights of its tokens, each repeat of a token being worth `repeat_cost` less.

    r = sum over v of (weights[v] * n_v - repeat_cost * n_v * (n_v - 1) / 2), where n_v counts token v among the real
    tokens. The order of tokens does not matter. It is called as a `RewardModel` is, and carries no gradient.

    >>> reward = KnownReward(torch.tensor([0.0, 0.0, 2.0]), repeat_cost=1.5)
    >>> reward(torch.tensor([[2, 1, 0], [2, 2, 1]]), torch.tensor([[True, True, False], [True, True, True]])).tolist()
    [2.0, 2.5]
    """

    weights: Tensor

    def __init__(self, weights: Tensor, repeat_cost: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.repeat_cost = repeat_cost

    @torch.no_grad()
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids (..., T), attention_mask (..., T) bool -> rewards (...)."""
        which = nn.functional.one_hot(input_ids, len(self.weights)) * attention_mask[..., None]  # (..., T, V)
        counts = which.sum(-2).to(self.weights.dtype)
        return counts @ self.weights - self.repeat_cost * (counts * (counts - 1) / 2).sum(-1)


def random_reward(vocab_size: int, *, repeat_cost: float = 0.0, seed: int = 0) -> KnownReward:
    """A `KnownReward` whose letters have standard normal weights; padding and the end of a text have none."""
    weights = torch.randn(vocab_size, generator=torch.Generator().manual_seed(seed))
    weights[:FIRST_LETTER] = 0.0
    return KnownReward(weights, repeat_cost)


class Preferences(NamedTuple):
    """N prompts, K ranked completions each. A row of `input_ids` is the prompt and one completion, padded on the right.

    `ranks`: 0 is the best, -1 a completion that is not there.
    """

    input_ids: Tensor  # (N, K, T) int64
    attention_mask: Tensor  # (N, K, T) bool
    ranks: Tensor  # (N, K) int64


def random_texts(
    n: int, k: int, vocab_size: int, *, prompt_length: int = 2, max_length: int = 8, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """`k` completions of each of `n` prompts: input_ids (n, k, prompt_length + max_length), and what of it is real.

    Letters are uniform. A completion has 1 to `max_length` tokens, each length as likely, and the last of them is EOS.
    """
    source = torch.Generator().manual_seed(seed)
    prompts = torch.randint(FIRST_LETTER, vocab_size, (n, 1, prompt_length), generator=source).expand(n, k, -1)
    letters = torch.randint(FIRST_LETTER, vocab_size, (n, k, max_length), generator=source)
    last = torch.randint(max_length, (n, k, 1), generator=source)
    positions = torch.arange(max_length)
    completions = letters.masked_fill(positions == last, EOS).masked_fill(positions > last, PAD)
    input_ids = torch.cat((prompts, completions), dim=-1)
    real = torch.cat((torch.ones_like(prompts, dtype=torch.bool), positions <= last), dim=-1)
    return input_ids, real


def noisy_ranks(
    rewards: Tensor, *, temperature: float = 1.0, flip: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """Rank each row of `rewards` (N, K) as an unsteady hand does: ranks (N, K), 0 is the best.

    Each reward gets Gumbel noise of this temperature before it is ranked, so that i stands above j with probability
    sigmoid((r_i - r_j) / temperature), as Bradley and Terry have it (Yellott 1977); 0 is a steady hand. Then with
    probability `flip` the whole ranking is turned round. Every pair comes out as `preference_probability` says.
    """
    gumbel = -torch.empty_like(rewards).exponential_(generator=generator).log()
    ranks = (rewards + temperature * gumbel).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    turned = torch.rand(len(rewards), 1, generator=generator) < flip
    return torch.where(turned, rewards.shape[1] - 1 - ranks, ranks)


def preference_probability(difference: Tensor, *, temperature: float = 1.0, flip: float = 0.0) -> Tensor:
    """The probability that a text whose true reward is greater by `difference` is ranked above the other."""
    steady = torch.sigmoid(difference / temperature) if temperature else (difference.sign() + 1) / 2
    return flip + (1 - 2 * flip) * steady


def noise_ceiling(difference: Tensor, *, temperature: float = 1.0, flip: float = 0.0) -> float:
    """The accuracy on noisy labels of somebody who knows the true rewards: no reward model can do better."""
    p = preference_probability(difference, temperature=temperature, flip=flip)
    return float(torch.maximum(p, 1 - p).mean())


def synthetic_preferences(
    reward: KnownReward,
    n: int,
    k: int = 2,
    *,
    prompt_length: int = 2,
    max_length: int = 8,
    temperature: float = 1.0,
    flip: float = 0.0,
    seed: int = 0,
) -> Preferences:
    """`random_texts`, ranked by `noisy_ranks` of a known reward. The same seed gives the same preferences.

    >>> synthetic_preferences(random_reward(8), 5, 3).ranks.shape
    torch.Size([5, 3])
    """
    vocab_size = len(reward.weights)
    texts = random_texts(n, k, vocab_size, prompt_length=prompt_length, max_length=max_length, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    ranks = noisy_ranks(reward(*texts), temperature=temperature, flip=flip, generator=generator)
    return Preferences(*texts, ranks)
