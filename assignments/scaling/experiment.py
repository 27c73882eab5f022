"""Scale for real: train a ladder of small GPTs, fit both laws, predict a larger one, then train it and see.

    python experiment.py --quick          under half a minute: does it run?
    python experiment.py                  about seven minutes on two cores
    python experiment.py --device cuda    a larger ladder, some minutes on a GPU

Uses the scaling.py beside this file. Finished runs are kept in runs.json in the output folder: stop when you like, the
next call goes on. The prediction is written to prediction.json before the large model is trained. Saves scaling.png.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor, nn

from autograder.given import corpus
from autograder.given.experiment import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, Options, Rows, main, save, say

VOCABULARY = 128  # ASCII; what is none becomes "?"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)


class Size(NamedTuple):
    d_model: int
    n_layers: int


class Ladder(NamedTuple):
    """Sizes times numbers of tokens, and the run that is held back."""

    sizes: tuple[Size, ...]
    tokens: tuple[int, ...]
    held_back: tuple[Size, int]
    context: int
    batch: int
    sources: tuple[Callable[[], list[str]], ...]  # of text
    check: int  # tokens that the loss is measured on


QUICK = Ladder(
    sizes=(Size(8, 1), Size(12, 1), Size(16, 1), Size(24, 1)),
    tokens=(16_000, 32_000, 64_000),
    held_back=(Size(48, 2), 200_000),
    context=32,
    batch=8,
    sources=(corpus.topics,),
    check=16_000,
)
LAPTOP = Ladder(
    sizes=(Size(24, 2), Size(32, 3), Size(48, 3), Size(64, 4)),  # smaller ones lie off any law
    tokens=(200_000, 350_000, 600_000, 1_000_000),
    held_back=(Size(112, 5), 2_000_000),
    context=64,
    batch=8,
    sources=(corpus.topics, corpus.docstrings),
    check=64_000,
)
GPU = Ladder(
    sizes=(Size(64, 4), Size(96, 4), Size(128, 6), Size(192, 6), Size(256, 8)),
    tokens=(1_000_000, 2_000_000, 4_000_000, 8_000_000),
    held_back=(Size(512, 10), 12_000_000),
    context=128,
    batch=32,
    sources=(corpus.topics, corpus.docstrings, corpus.sources),
    check=256_000,
)


# --- text and model ---------------------------------------------------------------------------------------------------


def texts(ladder: Ladder) -> tuple[Tensor, Tensor]:
    """Training and held-out text as ids. Texts are shuffled, so that a part of them is like the whole."""
    found = [text for source in ladder.sources for text in source()]
    pieces = [text[i : i + 2000] for text in found for i in range(0, len(text), 2000)]
    random.Random(0).shuffle(pieces)
    data = "\0".join(pieces).encode("ascii", "replace")
    ids = torch.frombuffer(bytearray(data), dtype=torch.uint8).long()
    return ids[ladder.check :], ids[: ladder.check]


def shift(x: Tensor) -> Tensor:
    """(B, T, C) with half of the channels taken from the token before (Peng et al. 2023, RWKV).

    Without it these small models stand on a plateau until they find out how to look one byte back, some sooner than
    others, and a ladder across a plateau follows no law.
    """
    half = x.shape[-1] // 2
    return torch.cat((F.pad(x[:, :-1, :half], (0, 0, 1, 0)), x[..., half:]), dim=-1)


class Block(nn.Module):
    """A pre-norm transformer layer without biases, with shifted inputs."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.n_heads = max(1, d_model // 16)
        self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.up = nn.Linear(d_model, 4 * d_model, bias=False)
        self.down = nn.Linear(4 * d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(shift(self.norm_1(x))).unflatten(-1, (3, self.n_heads, -1))  # (B, T, 3, H, D)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(shift(self.norm_2(x)))))


class GPT(nn.Module):
    """A decoder over bytes."""

    def __init__(self, size: Size, context: int) -> None:
        super().__init__()
        d_model, n_layers = size
        self.token = nn.Embedding(VOCABULARY, d_model)
        self.position = nn.Embedding(context, d_model)
        self.blocks = nn.Sequential(*(Block(d_model) for _ in range(n_layers)))
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, VOCABULARY, bias=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.7 / math.sqrt(parameter.shape[1]))
        for block in self.blocks:  # what is added to the residual stream grows with depth otherwise
            block.out.weight.data /= math.sqrt(2 * n_layers)
            block.down.weight.data /= math.sqrt(2 * n_layers)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.token(ids) + self.position.weight[: ids.shape[1]])))


def nats(model: GPT, rows: Tensor) -> Tensor:
    """The mean cross-entropy of predicting rows[:, 1:]."""
    return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


def train(size: Size, tokens: int, ladder: Ladder, text: tuple[Tensor, Tensor], seed: int, device: str) -> float:
    """Train once over `tokens` tokens, none of them twice; the held-out loss in nats a token.

    Warm-up and a cosine that ends with the run: a run that is stopped half-way is no run of half the tokens (Hoffmann
    et al. 2022, section 3.1).
    """
    torch.manual_seed(seed)
    data, check = (ids[: len(ids) // ladder.context * ladder.context].view(-1, ladder.context) for ids in text)
    order = torch.randperm(len(data))
    model = GPT(size, ladder.context).to(device)
    steps = tokens // (ladder.batch * ladder.context)
    rate = 0.04 / math.sqrt(size.d_model)  # larger models want smaller steps
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    warm = max(1, min(50, steps // 10))
    said = time.monotonic()
    for step in range(steps):
        cosine = 0.55 + 0.45 * math.cos(math.pi * step / steps)
        optimizer.param_groups[0]["lr"] = rate * min((step + 1) / warm, cosine)
        rows = data[order[step * ladder.batch : (step + 1) * ladder.batch]].to(device)
        loss = nats(model, rows)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if time.monotonic() - said > 15:
            said = time.monotonic()
            say(f"  step {step + 1} of {steps}")
    with torch.no_grad():
        losses = [nats(model, rows.to(device)).item() for rows in check.split(256)]
    return sum(loss * len(rows) for loss, rows in zip(losses, check.split(256), strict=True)) / len(check)


# --- runs, kept -------------------------------------------------------------------------------------------------------


class Runs:
    """Losses by run, in a file that is rewritten after each run."""

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
        self._known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def loss(self, size: Size, tokens: int, train_it: Callable[[int], float]) -> float:
        """The loss of a run, trained now unless it is known. The key says all that it depends on, the seed too."""
        key = f"{size.d_model} {size.n_layers} {tokens} {self._what}"
        if key not in self._known:
            started = time.monotonic()
            self._known[key] = train_it(int(hashlib.sha256(key.encode()).hexdigest()[:8], 16))
            beside = self._path.with_suffix(".part")
            beside.write_text(json.dumps(self._known, indent=1))
            os.replace(beside, self._path)
            say(f"  {self._known[key]:.3f} nats a token after {time.monotonic() - started:.0f} s")
        return self._known[key]


def climb(ladder: Ladder, text: tuple[Tensor, Tensor], runs: Runs, options: Options) -> list[tuple[Size, int, float]]:
    """Every rung: (size, tokens, loss), the cheapest first."""
    rungs = sorted(
        ((s, t) for s in ladder.sizes for t in ladder.tokens), key=lambda r: r[0].d_model * r[0].n_layers * r[1]
    )
    found = []
    for number, (size, tokens) in enumerate(rungs):
        say(f"run {number + 1} of {len(rungs)}: d_model {size.d_model}, {size.n_layers} layers, {tokens:,} tokens")
        loss = runs.loss(size, tokens, lambda seed, s=size, t=tokens: train(s, t, ladder, text, seed, options.device))
        found.append((size, tokens, loss))
    return found


# --- prediction -------------------------------------------------------------------------------------------------------


class Prediction(NamedTuple):
    chinchilla: float
    low: float
    high: float
    kaplan: float
    repeat: float  # the last rung's loss


def numbers(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def predict(scaling: ModuleType, N: Tensor, D: Tensor, L: Tensor, target: tuple[Tensor, Tensor], seed: int):
    """Both fits, and what they say of the target.

    The interval is for a run, not for a mean of runs: each of 1,000 resampled laws also gets a residual of the ladder,
    scaled up for the five numbers that were fitted to it.
    """
    source = torch.Generator().manual_seed(seed)
    delta = 0.01  # in nats of log L: the scatter of small runs
    fit = scaling.fit_chinchilla(N, D, L, delta=delta)
    of_kaplan = scaling.fit_kaplan(N, D, L, delta=delta)
    laws = scaling.bootstrap_chinchilla(N, D, L, fit, 1000, delta=delta, generator=source)
    residuals = (L / scaling.predict_loss(N, D, fit)).log() * math.sqrt(len(L) / (len(L) - 5))
    scatter = residuals[torch.randint(len(L), (1000,), generator=source)].exp()
    losses = scaling.predict_loss(*target, laws) * scatter
    low, high = losses.quantile(numbers([0.025, 0.975])).tolist()
    law = float(scaling.predict_loss(*target, fit))
    kaplan = float(scaling.kaplan_loss(*target, of_kaplan))
    return fit, of_kaplan, Prediction(law, low, high, kaplan, float(L[scaling.train_flops(N, D).argmax()]))


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_losses(
    axis: Axes, scaling: ModuleType, runs, N, D, L, fit, target, prediction: Prediction, reached: float
) -> None:
    for colour, size in zip(COLOURS, dict.fromkeys(size for size, _, _ in runs), strict=False):
        mine = torch.tensor([i for i, run in enumerate(runs) if run[0] == size])
        mine = mine[D[mine].argsort()]
        axis.plot(scaling.train_flops(N, D)[mine], L[mine], "o", color=colour, label=f"N = {N[mine[0]]:,.0f}")
        grid = torch.logspace(math.log10(D.min()), math.log10(target[1]), 60, dtype=torch.float64)
        axis.plot(
            scaling.train_flops(N[mine[0]], grid), scaling.predict_loss(N[mine[0]], grid, fit), color=colour, lw=1
        )
    C = float(scaling.train_flops(*target))
    below, above = prediction.chinchilla - prediction.low, prediction.high - prediction.chinchilla
    axis.errorbar([C], [prediction.chinchilla], [[below], [above]], color=GREY, capsize=4, lw=2, label="predicted")
    axis.plot([C], [reached], "*", color="black", markersize=12, label=f"N = {float(target[0]):,.0f}, held back")
    axis.set(xscale="log", xlabel="FLOPs, 6 N D", ylabel="held-out loss, nats a token", title="The ladder and its law")
    axis.legend(fontsize=8)


def plot_residuals(axis: Axes, scaling: ModuleType, N, D, L, fit, of_kaplan) -> None:
    for predicted, name, colour in (
        (scaling.predict_loss(N, D, fit), "Chinchilla's", BLUE),
        (scaling.kaplan_loss(N, D, of_kaplan), "Kaplan's", ORANGE),
    ):
        off = 100 * (L / predicted).log()
        axis.plot(predicted, off, "o", color=colour, label=f"{name}: {off.abs().mean():.2f} % on average", alpha=0.8)
    axis.axhline(0, color=GREY, lw=1)
    axis.set(xlabel="predicted loss", ylabel="observed above predicted, per cent", title="What the laws leave")
    axis.legend()


def plot_frontier(axis: Axes, scaling: ModuleType, runs, N, D, L, fit) -> None:
    """The best size for a budget: by the law, and by parabolas through losses that are read off between the runs."""
    C = scaling.train_flops(N, D)
    points = axis.scatter(C, N, c=L, cmap="viridis_r", s=40)
    axis.figure.colorbar(points, ax=axis, label="loss")
    grid = torch.logspace(math.log10(C.min()), math.log10(C.max()), 50, dtype=torch.float64)
    axis.plot(grid, scaling.compute_optimal(grid, fit)[0], color=RED, label="the law")
    profiles = []
    for budget in torch.logspace(math.log10(C.min()), math.log10(C.max()), 9, dtype=torch.float64).tolist():
        for n in N.unique().tolist():
            x, order = C[n == N].log().sort()
            y = L[n == N][order]
            place = int(torch.searchsorted(x, math.log(budget)))
            if 0 < place < len(x):
                share = (math.log(budget) - x[place - 1]) / (x[place] - x[place - 1])
                profiles.append((budget, n, float(y[place - 1] + share * (y[place] - y[place - 1]))))
    if profiles:
        budgets, best = scaling.isoflop_optima(*(numbers(column) for column in zip(*profiles, strict=True)))
        inside = (best >= N.min() / 3) & (best <= N.max() * 3)  # NaN is not
        if inside.any():  # a ladder of few sizes may have no budget with a lowest point among them
            axis.plot(budgets[inside], best[inside], "D", color="black", label="parabolas", markersize=6)
    axis.set(
        xscale="log", yscale="log", xlabel="FLOPs, 6 N D", ylabel="parameters N", title="The best size for a budget"
    )
    axis.legend()


def plot_forecast(axis: Axes, scaling: ModuleType, seed: int) -> tuple[float, float]:
    """A reward curve with noise, and what its first quarter says of the rest; (forecast, mean of the last rewards)."""
    C = torch.linspace(1, 100, 100, dtype=torch.float64)
    noise = 0.004 * torch.randn(100, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    R = scaling.sigmoid_curve(C, A=0.72, B=1.8, C_mid=8.0, R0=0.2) + noise
    expected = scaling.forecast(C, R, C, R0=0.2)
    seen = C <= 25
    axis.plot(C[seen], R[seen], "o", color=BLUE, markersize=4, label="seen")
    axis.plot(C[~seen], R[~seen], "o", color=GREY, markersize=4, label="not seen")
    axis.plot(C, expected, color=RED, label="forecast")
    axis.set(
        xlabel="compute", ylabel="pass rate", title="A reward curve, forecast from its first quarter", ylim=(0.15, 0.8)
    )
    axis.legend(loc="lower right")
    return float(expected[-1]), float(R[-10:].mean())


# --- all of it --------------------------------------------------------------------------------------------------------


def run(scaling: ModuleType, options: Options) -> Rows:
    torch.set_num_threads(1)  # the matrices are small, and on a busy machine two threads wait for each other
    ladder = QUICK if options.quick else GPU if options.device == "cuda" else LAPTOP
    say("reading texts")
    text = texts(ladder)
    digest = hashlib.sha256(text[0].numpy().tobytes() + text[1].numpy().tobytes()).hexdigest()[:8]
    what = f"{ladder.context} {ladder.batch} {digest} {options.seed} {options.device}"
    runs = Runs(options.out / "runs.json", what)
    rungs = climb(ladder, text, runs, options)

    N = numbers([scaling.non_embedding_params(size.n_layers, size.d_model) for size, _, _ in rungs])
    D, L = numbers([tokens for _, tokens, _ in rungs]), numbers([loss for _, _, loss in rungs])
    size, tokens = ladder.held_back
    target = numbers([scaling.non_embedding_params(size.n_layers, size.d_model)])[0], numbers([tokens])[0]
    fit, of_kaplan, prediction = predict(scaling, N, D, L, target, options.seed)
    (options.out / "prediction.json").write_text(json.dumps(prediction._asdict(), indent=1))
    say(f"predicted: {prediction.chinchilla:.3f} nats a token, {prediction.low:.3f} to {prediction.high:.3f}")
    say(f"held back: d_model {size.d_model}, {size.n_layers} layers, {tokens:,} tokens; training it now")
    reached = runs.loss(size, tokens, lambda seed: train(size, tokens, ladder, text, seed, options.device))

    figure, axes = plt.subplots(2, 2, figsize=(12, 9))
    plot_losses(axes[0, 0], scaling, rungs, N, D, L, fit, target, prediction, reached)
    plot_residuals(axes[0, 1], scaling, N, D, L, fit, of_kaplan)
    plot_frontier(axes[1, 0], scaling, rungs, N, D, L, fit)
    expected, came = plot_forecast(axes[1, 1], scaling, options.seed)
    save(figure, options.out / "scaling.png")

    gap, width = prediction.repeat - reached, prediction.high - prediction.low
    hit = prediction.low <= reached <= prediction.high
    ratio = float(scaling.train_flops(*target) / scaling.train_flops(N, D).max())
    say(f"the law: E = {fit.E:.3f}, alpha = {fit.alpha:.3f}, beta = {fit.beta:.3f}")
    say(f"the held-back run used {ratio:.1f} times the compute of the last rung")
    say(f"the interval {'HIT' if hit else 'MISSED'}; it is {width:.3f} wide, the gap to the last rung {gap:.3f}: "
        f"{'at most' if width <= gap / 2 else 'MORE THAN'} half")  # fmt: skip
    say(f"the reward curve: {expected:.3f} forecast, {came:.3f} came")
    rows = [("held-back model", "nats a token", "off by")]
    for name, value in (
        ("reached", reached),
        ("Chinchilla's law", prediction.chinchilla),
        ("Kaplan's law", prediction.kaplan),
        ("the last rung, repeated", prediction.repeat),
    ):
        rows.append((name, f"{value:.3f}", "" if name == "reached" else f"{value - reached:+.3f}"))
    rows.append(
        ("interval of Chinchilla's law", f"{prediction.low:.3f} to {prediction.high:.3f}", "hit" if hit else "missed")
    )
    return rows


if __name__ == "__main__":
    main("scaling", run, __doc__)
