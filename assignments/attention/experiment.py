"""Look at your attention: what a causal head sees, how a head learns to copy, and what the whole matrix costs.

    python experiment.py --quick        some seconds
    python experiment.py                under a minute

Uses the attention.py beside this file, and saves two pictures: attention.png (a causal pattern, a copy head, time and
memory against length) and copy-head.png (the copy head as it is learned).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from autograder.given.experiment import BLUE, GREY, ORANGE, RED, Options, Rows, main, progress, save, say
from autograder.given.memory import PeakBytes

VOCAB_SIZE, LENGTH = 16, 8  # of the copy task
LETTERS = "ABCDEFGHIJKLMNOP"  # what its tokens are called in pictures
D_HEAD = 64
LAPTOP = 16 * 2**30  # bytes


def seconds(call: Callable[[], Tensor], repeats: int, device: str) -> float:
    """The best of some runs: all that a busy machine does is make it slower. On a CPU, the time that it computed."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    times = []
    for _ in range(repeats):
        started = clock()
        call().sum().item()  # waits for a GPU
        times.append(clock() - started)
    return min(times)


# --- what heads look at -----------------------------------------------------------------------------------------------


def causal_pattern(attention: ModuleType, t: int, generator: torch.Generator, device: str) -> Tensor:
    """The weights (t, t) of one untrained head, as attention gives them back when the values are the identity."""
    q, k = torch.randn(2, t, D_HEAD, generator=generator).to(device).unbind(0)
    one_hot = torch.eye(t, device=device)
    return attention.scaled_dot_product_attention(q, k, one_hot, attention.causal_mask(t, device=device)).cpu()


def copying(weights: Tensor) -> Tensor:
    """How much weight each head puts where the next token stands: (..., 2L, 2L) -> (...), between 0 and 1."""
    length = weights.shape[-1] // 2
    rows = torch.arange(length - 1, 2 * length - 1)
    return weights[..., rows, rows - length + 1].mean(-1)


def learn_to_copy(attention: ModuleType, options: Options):
    """Losses, the steps of the snapshots, the map of the copy head at each, its name, and a sequence to look at.

    Training for 10 steps and for 100 from one state of the generator starts with the same 10 steps.
    """
    snapshots = [0, 10, 20, 40] if options.quick else [0, 10, 15, 20, 30, 100]
    tokens = attention.repeated_sequences(1, LENGTH, VOCAB_SIZE, torch.Generator().manual_seed(options.seed))[0]
    maps, losses = [], []
    for steps in progress(snapshots, "the copy task, steps"):
        generator = torch.Generator().manual_seed(options.seed)
        model, losses = attention.train_copy_task(steps, vocab_size=VOCAB_SIZE, length=LENGTH, generator=generator)
        maps.append(attention.attention_map(model.to(options.device), tokens.to(options.device)).cpu())
    layer, head = divmod(int(copying(maps[-1]).argmax()), maps[-1].shape[1])
    return losses, snapshots, [weights[layer, head] for weights in maps], f"layer {layer}, head {head}", tokens


def heat(axis: Axes, weights: Tensor, names: list[str] | None = None) -> None:
    """Weights as colours: rows are queries, columns are keys; nothing above the diagonal is left white."""
    t = weights.shape[-1]
    seen = torch.ones(t, t, dtype=torch.bool).tril()
    axis.imshow(weights.masked_fill(~seen & (weights == 0), math.nan), cmap="magma_r", vmin=0, vmax=1)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    if names is None:
        axis.set(xticks=[], yticks=[])
    else:
        axis.set_xticks(range(t), names, fontsize=8)
        axis.set_yticks(range(t), names, fontsize=8)


# --- what it costs ----------------------------------------------------------------------------------------------------


def costs(attention: ModuleType, options: Options) -> dict[str, dict[int, tuple[float, int]]]:
    """Seconds and peak bytes of one causal head in float32, with the whole matrix and in blocks."""
    lengths = [2**n for n in (range(8, 12) if options.quick else range(8, 14))]

    def whole(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention.scaled_dot_product_attention(q, k, v, attention.causal_mask(q.shape[-2], device=q.device))

    def blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention.chunked_attention(q, k, v, causal=True)

    ways = {"the whole matrix": whole, "in blocks of 128": blocks}
    found: dict[str, dict[int, tuple[float, int]]] = {name: {} for name in ways}
    generator = torch.Generator().manual_seed(options.seed)
    for t in progress(lengths, "time and memory, length"):
        qkv = torch.randn(3, t, D_HEAD, generator=generator).to(options.device).unbind(0)
        for name, way in ways.items():
            if t > 4096 and way is whole:
                continue  # gigabytes; a line on logarithmic axes tells as much
            with torch.no_grad():
                with PeakBytes() as memory:
                    way(*qkv)
                found[name][t] = seconds(partial(way, *qkv), 5 if t < 2048 else 3, options.device), memory.peak
    return found


def plot_cost(axis: Axes, found: dict, which: int) -> None:
    for (name, by_length), colour in zip(found.items(), (RED, BLUE), strict=True):
        lengths = list(by_length)
        values = [cost[which] for cost in by_length.values()]
        axis.plot(lengths, values, marker="o", color=colour, label=name)
        if which == 1:  # on, as the last two points go, to what a laptop has
            slope = math.log(values[-1] / values[-2]) / math.log(lengths[-1] / lengths[-2])
            end = lengths[-1] * (LAPTOP / values[-1]) ** (1 / slope)
            axis.plot([lengths[-1], end], [values[-1], LAPTOP], color=colour, linestyle=":", linewidth=1.4)
            axis.annotate(
                f"{end:,.0f}" if end < 1e6 else f"{end / 1e6:,.0f} million",
                (end, LAPTOP), (0, 6), textcoords="offset points", ha="center", color=colour,
            )  # fmt: skip
    axis.set(xscale="log", yscale="log", xlabel="length in tokens")
    axis.grid()
    axis.set_axisbelow(True)
    axis.minorticks_off()


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_attention(path: Path, pattern: Tensor, copy_map: Tensor, head: str, names: list[str], found: dict) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(11, 9.6), height_ratios=[1.25, 1])
    heat(axes[0, 0], pattern)
    axes[0, 0].set(title="A causal pattern: an untrained head", xlabel="key", ylabel="query")
    heat(axes[0, 1], copy_map, names)
    axes[0, 1].set(title=f"A copy head: {head}", xlabel="key", ylabel="query")
    half = LENGTH - 0.5
    axes[0, 1].plot([half, half], [half, 2 * LENGTH - 0.5], color=GREY, linewidth=1)
    axes[0, 1].plot([-0.5, half], [half, half], color=GREY, linewidth=1)
    figure.colorbar(axes[0, 1].images[0], ax=axes[0, :], label="weight", shrink=0.75, pad=0.02)

    plot_cost(axes[1, 0], found, 0)
    axes[1, 0].set(title="Time, one causal head")
    axes[1, 0].set_yticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s"])
    times = [cost[0] for by_length in found.values() for cost in by_length.values()]
    axes[1, 0].set_ylim(min(times) / 2, max(times) * 3)
    axes[1, 0].set_xticks(lengths := sorted(set().union(*found.values())), [f"{t:,}" for t in lengths])
    axes[1, 0].legend(loc="upper left")
    plot_cost(axes[1, 1], found, 1)
    axes[1, 1].axhline(LAPTOP, color=GREY, linewidth=1)
    axes[1, 1].set(title="Memory, one causal head", ylim=(None, LAPTOP * 8))
    powers = {17: "128 KiB", 20: "1 MiB", 23: "8 MiB", 27: "128 MiB", 30: "1 GiB", 34: "16 GiB"}
    axes[1, 1].set_yticks([2.0**n for n in powers], list(powers.values()))
    save(figure, path)


def plot_learning(path: Path, losses: list[float], snapshots: list[int], maps: list[Tensor], names: list[str]) -> None:
    figure = plt.figure(figsize=(2.6 * len(maps), 5.6))
    grid = figure.add_gridspec(2, len(maps), height_ratios=[1, 0.95])
    for column, (steps, weights) in enumerate(zip(snapshots, maps, strict=True)):
        axis = figure.add_subplot(grid[0, column])
        heat(axis, weights)
        axis.set_title(f"{steps} steps: {copying(weights):.0%}", loc="left")
    axis = figure.add_subplot(grid[1, :])
    axis.plot(range(1, len(losses) + 1), losses, color=BLUE)
    axis.axhline(math.log(VOCAB_SIZE), color=GREY, linestyle="--", linewidth=1.2)
    axis.text(len(losses), math.log(VOCAB_SIZE) + 0.06, "a guess: ln 16", ha="right", color=GREY)
    axis.plot(snapshots[1:], [losses[steps - 1] for steps in snapshots[1:]], "o", color=ORANGE, markersize=7)
    axis.set(xlabel="step", ylabel="loss in nats a token", ylim=(0, None), xlim=(0, len(losses) * 1.01))
    axis.grid(axis="y")
    axis.set_title("The head learns where to look, and the loss falls (per cent: its weight on the token to copy)")
    save(figure, path)


def run(attention: ModuleType, options: Options) -> Rows:
    torch.set_num_threads(1)  # the tensors are small, and on a busy machine two threads wait for each other
    generator = torch.Generator().manual_seed(options.seed)
    pattern = causal_pattern(attention, 24, generator, options.device)
    losses, snapshots, maps, head, tokens = learn_to_copy(attention, options)
    names = [LETTERS[i] for i in tokens.tolist()]
    plot_learning(options.out / "copy-head.png", losses, snapshots, maps, names)
    found = costs(attention, options)
    plot_attention(options.out / "attention.png", pattern, maps[-1], head, names, found)

    say(f"the copy task: {losses[0]:.2f} nats a token at first, {losses[-1]:.3f} after {len(losses)} steps")
    say(f"the copy head is {head}: {copying(maps[-1]):.0%} of its weight is on the token to copy")
    rows = [("length", "ms whole", "ms blocks", "MiB whole", "MiB blocks")]
    whole, blocks = found.values()
    for t in blocks:
        cells = [(f"{1e3 * s:.1f}", f"{b / 2**20:.1f}") for s, b in (by[t] for by in (whole, blocks) if t in by)]
        cells = [("-", "-")] * (2 - len(cells)) + cells
        rows.append((f"{t:,}", cells[0][0], cells[1][0], cells[0][1], cells[1][1]))
    return rows


if __name__ == "__main__":
    main("attention", run, __doc__)
