"""Learn a reward from noisy preferences, choose by it, train a policy towards it, and see when that goes too far.

    python experiment.py --quick        some seconds
    python experiment.py                half a minute

Uses the rlhf.py beside this file, and saves two pictures: reward-model.png (accuracy against the number of preferences,
calibration, proxy against gold) and overoptimization.png (the best of n, and GRPO, by proxy and by gold).
"""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from autograder.given.experiment import BLUE, GREEN, GREY, ORANGE, RED, Options, Rows, main, progress, save, say
from autograder.given.policies import PolicyTable, RunningSum, Steps, divergence
from autograder.given.preferences import (
    EOS,
    FIRST_LETTER,
    PAD,
    KnownReward,
    noise_ceiling,
    noisy_ranks,
    preference_probability,
)  # fmt: skip

LETTERS = "abcdefghij"
VOCAB = FIRST_LETTER + len(LETTERS)
LENGTH = 8  # tokens of a response
D_MODEL = 16
FLIP = 0.1  # of the rankings are turned round
REPEAT_COST = 0.5  # of each repeat of a letter, to the gold reward


class World(NamedTuple):
    """What is given: the gold reward, the policy as it is before training, and the prompts."""

    gold: KnownReward
    start: Tensor  # (V, V) logits
    prompts: Tensor  # (10, 1), one letter each


class Texts(NamedTuple):
    input_ids: Tensor  # (N, K, T)
    attention_mask: Tensor


def make_world(options: Options) -> World:
    source = torch.Generator().manual_seed(options.seed)
    weights = torch.cat((torch.zeros(FIRST_LETTER), torch.linspace(-1, 1, len(LETTERS))))
    weights[FIRST_LETTER:] = weights[FIRST_LETTER:][torch.randperm(len(LETTERS), generator=source)]
    start = 0.5 * torch.randn(VOCAB, VOCAB, generator=source)
    start[:, PAD] = -20.0  # is never said
    prompts = torch.arange(FIRST_LETTER, VOCAB)[:, None]
    return World(
        KnownReward(weights, REPEAT_COST).to(options.device), start.to(options.device), prompts.to(options.device)
    )


def sample(rlhf: ModuleType, world: World, table: Tensor, n: int, k: int, seed: int) -> Texts:
    """`k` responses of a policy to each of `n` prompts, which take turns."""
    prompts = world.prompts[torch.arange(n, device=table.device) % len(world.prompts)]
    generator = torch.Generator().manual_seed(seed)
    ids, response = rlhf.sample_responses(
        PolicyTable(table), prompts, k, LENGTH, eos_id=EOS, pad_id=PAD, generator=generator
    )
    response[:, 0] = True  # the prompt is real as well
    return Texts(ids.view(n, k, -1), response.view(n, k, -1))


def score(model: nn.Module, texts: Texts) -> Tensor:
    """(N, K) rewards."""
    with torch.no_grad():
        return model(*(x.flatten(0, 1) for x in texts)).view(texts.input_ids.shape[:2])


# --- the reward model -------------------------------------------------------------------------------------------------


def train(rlhf: ModuleType, world: World, texts: Texts, ranks: Tensor, options: Options, steps: int) -> nn.Module:
    generator = torch.Generator().manual_seed(options.seed)
    model = rlhf.RewardModel(RunningSum(VOCAB, D_MODEL, options.seed), D_MODEL, generator=generator)
    model.to(options.device)
    rlhf.train_reward_model(model, *texts, ranks, steps=steps, learning_rate=0.02, generator=generator)
    return model


class Judged(NamedTuple):
    """How a reward model does on new pairs with noisy labels."""

    accuracy: float
    ece: float
    bins: list[tuple[float, float, int]]  # mean probability, frequency, how many


def judge(rlhf: ModuleType, model: nn.Module, texts: Texts, first_wins: Tensor) -> Judged:
    scores = score(model, texts).cpu()
    chosen = torch.where(first_wins, scores[:, 0], scores[:, 1])
    rejected = torch.where(first_wins, scores[:, 1], scores[:, 0])
    p = torch.sigmoid(scores[:, 0] - scores[:, 1])
    bins = []
    for m in range(10):
        inside = (p > m / 10) & (p <= (m + 1) / 10)
        if inside.sum() > 20:
            bins.append((float(p[inside].mean()), float(first_wins[inside].float().mean()), int(inside.sum())))
    ece = rlhf.expected_calibration_error(p, first_wins)
    return Judged(rlhf.pairwise_accuracy(chosen, rejected), ece, bins)


# --- the best of n ----------------------------------------------------------------------------------------------------


def choose(rlhf: ModuleType, world: World, model: nn.Module, options: Options) -> list[tuple[int, float, float, float]]:
    """(n, KL, proxy, gold) of the best of n by the reward model, rewards less those of the policy as it is."""
    n_most, groups = (64, 200) if options.quick else (512, 400)
    texts = sample(rlhf, world, world.start, groups, n_most, options.seed + 3)
    proxy, gold = score(model, texts), world.gold(*texts)
    normalizer = rlhf.RewardNormalizer()
    normalizer.fit(proxy.flatten())
    rows = []
    for n in [2**i for i in range(int(math.log2(n_most)) + 1)]:
        earned = torch.stack([rlhf.expected_best_of_n(normalizer(row), n) for row in proxy]).mean()
        chunks = proxy.view(-1, n), gold.view(-1, n)
        best = chunks[1].gather(1, rlhf.best_of_n(chunks[0])[:, None]).mean()
        rows.append((n, rlhf.best_of_n_kl(n), float(earned), float(best - gold.mean())))
    return rows


# --- the policy -------------------------------------------------------------------------------------------------------


class Snapshot(NamedTuple):
    step: int
    nats: float
    proxy: float
    gold: float
    text: str


def climb(rlhf: ModuleType, world: World, model: nn.Module, beta: float, options: Options) -> list[Snapshot]:
    """GRPO towards the reward model: how far the policy is from its start, and what it earns, by proxy and by gold."""
    steps = 40 if options.quick else 160
    policy, told = PolicyTable(world.start), Steps()

    def reward(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return model(input_ids, attention_mask)

    rlhf.train_policy(
        policy, reward, world.prompts, steps=steps, max_new_tokens=LENGTH, eos_id=EOS, pad_id=PAD, group_size=16,
        learning_rate=0.12 if options.quick else 0.05, beta=beta, on_step=told,
        generator=torch.Generator().manual_seed(options.seed),
    )  # fmt: skip
    tables = [world.start, *told.tables]
    base: tuple[float, float] | None = None
    found = []
    for step in range(0, steps + 1, 2 if options.quick else 4):
        texts = sample(rlhf, world, tables[step], 200 if options.quick else 500, 4, options.seed + 5)
        earned = float(score(model, texts).mean()), float(world.gold(*texts).mean())
        base = base or earned
        nats = divergence(tables[step].double(), world.start.double(), world.prompts[:, 0], LENGTH, EOS).mean()
        text = spell(texts.input_ids[0, 0, 1:])
        found.append(Snapshot(step, float(nats), earned[0] - base[0], earned[1] - base[1], text))
    return found


def spell(ids: Tensor) -> str:
    """Letters up to the end."""
    return "".join(LETTERS[i - FIRST_LETTER] for i in ids.tolist() if i >= FIRST_LETTER)


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_reward_model(
    path: Path, sizes: list[int], curve: list[float], ceiling: float, judged: Judged, proxy: Tensor, gold: Tensor
) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.2))
    axes[0].plot(sizes, curve, marker="o", color=BLUE)
    axes[0].axhline(ceiling, color=GREY, linestyle="--", linewidth=1.4)
    axes[0].text(sizes[0], ceiling + 0.002, "knowing the gold reward", color=GREY, va="bottom")
    axes[0].set(xscale="log", xlabel="ranked prompts", title="Accuracy on new, noisy pairs", ylim=(0.5, ceiling + 0.03))
    axes[0].set_xticks(sizes, [f"{n:,}" for n in sizes])
    axes[0].minorticks_off()
    axes[0].grid(axis="y")
    axes[1].plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2)
    promised, came_true, counts = zip(*judged.bins)
    axes[1].scatter(promised, came_true, s=[10 + 300 * n / sum(counts) for n in counts], color=BLUE, zorder=3)
    axes[1].set(xlabel="promised probability", ylabel="came true", xlim=(0, 1), ylim=(0, 1))
    axes[1].set_title(f"Calibration: ECE {judged.ece:.3f}")
    axes[2].scatter(gold, proxy, s=4, alpha=0.3, color=BLUE, linewidths=0)
    axes[2].set(xlabel="gold reward", ylabel="reward model", title="Texts of the policy as it is")
    save(figure, path)


def plot_rise(axis: Axes, nats: list[float], proxy: list[float], gold: list[float], title: str) -> None:
    """Both rewards against the divergence; the axis is its root, as in Gao et al. 2022."""
    x = [math.sqrt(max(n, 0.0)) for n in nats]
    axis.plot(x, proxy, color=ORANGE, label="reward model (proxy)")
    axis.plot(x, gold, color=GREEN, label="gold reward")
    top = max(range(len(gold)), key=gold.__getitem__)
    axis.plot(x[top], gold[top], "o", color=RED, markersize=7)
    axis.annotate(
        f"{gold[top]:+.2f}", (x[top], gold[top]), (0, -14), textcoords="offset points", ha="center", color=RED
    )
    axis.axhline(0, color=GREY, linewidth=1)
    ticks = [t for t in (0, 0.25, 1, 2, 4, 8, 16, 32) if math.sqrt(t) <= max(x) * 1.02]
    axis.set_xticks([math.sqrt(t) for t in ticks], [f"{t:g}" for t in ticks])
    axis.set(xlabel="KL from the start in nats (root scale)", title=title)
    axis.grid(axis="y")


def plot_overoptimization(path: Path, best: list, runs: dict[float, list[Snapshot]]) -> None:
    figure, axes = plt.subplots(1, 1 + len(runs), figsize=(4.6 * (1 + len(runs)), 4.4), sharey=True)
    _, nats, proxy, gold = zip(*best)
    plot_rise(axes[0], list(nats), list(proxy), list(gold), f"The best of n, up to {best[-1][0]}")
    for axis, (beta, run) in zip(axes[1:], runs.items()):
        rows = [[getattr(s, name) for s in run] for name in ("nats", "proxy", "gold")]
        plot_rise(axis, *rows, f"GRPO, beta = {beta:g}")
    axes[0].set_ylabel("reward more than at the start")
    axes[0].legend(loc="upper left")
    save(figure, path)


def run(rlhf: ModuleType, options: Options) -> Rows:
    torch.set_num_threads(1)  # the tensors are small, and on a busy machine two threads wait for each other
    world = make_world(options)
    sizes = [30, 100, 300] if options.quick else [30, 100, 300, 1000, 3000]
    steps = 150 if options.quick else 600
    texts = sample(rlhf, world, world.start, sizes[-1], 4, options.seed + 1)
    generator = torch.Generator().manual_seed(options.seed + 1)
    ranks = noisy_ranks(world.gold(*texts).cpu(), flip=FLIP, generator=generator).to(options.device)

    new = sample(rlhf, world, world.start, 2000 if options.quick else 10000, 2, options.seed + 2)
    true = world.gold(*new).cpu()
    difference = true[:, 0] - true[:, 1]
    chance = torch.rand(len(difference), generator=generator)
    first_wins = chance < preference_probability(difference, flip=FLIP)
    ceiling = noise_ceiling(difference, flip=FLIP)
    curve, model, judged = [], None, None
    for n in progress(sizes, "a reward model, ranked prompts"):
        model = train(rlhf, world, Texts(texts[0][:n], texts[1][:n]), ranks[:n], options, steps)
        judged = judge(rlhf, model, new, first_wins)
        curve.append(judged.accuracy)
    proxy, gold = score(model, new)[:1500, 0].cpu(), true[:1500, 0]
    plot_reward_model(options.out / "reward-model.png", sizes, curve, ceiling, judged, proxy, gold)

    say("the best of n")
    best = choose(rlhf, world, model, options)
    runs = {}
    for beta in progress([0.0, 0.3], "GRPO, beta"):
        runs[beta] = climb(rlhf, world, model, beta, options)
    plot_overoptimization(options.out / "overoptimization.png", best, runs)

    say(f"accuracy {judged.accuracy:.3f} where {ceiling:.3f} is possible; ECE {judged.ece:.3f}")
    rows = [("way", "KL", "proxy", "gold", "a text")]
    for n, nats, earned, true_reward in (best[len(best) // 2], best[-1]):
        rows.append((f"best of {n}", f"{nats:.2f}", f"{earned:+.2f}", f"{true_reward:+.2f}", ""))
    for beta, snapshots in runs.items():
        top = max(snapshots, key=lambda s: s.gold)
        for s in (snapshots[0], top, snapshots[-1]):
            rows.append((f"beta {beta:g}, step {s.step}", f"{s.nats:.2f}", f"{s.proxy:+.2f}", f"{s.gold:+.2f}", s.text))
    return rows


if __name__ == "__main__":
    main("rlhf", run, __doc__)
