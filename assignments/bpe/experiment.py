"""Train your tokenizer on the documentation that every Python carries, and look at what it learned.

    python experiment.py --quick        some seconds
    python experiment.py                under a minute

Uses the bpe.py beside this file, and saves three pictures: merges.png (words growing together, and the first merges),
split.png (a word that the text does not hold, at growing vocabulary sizes) and compression.png (bytes per token).
"""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from autograder.given import corpus
from autograder.given.experiment import BLUE, GREEN, GREY, INK, ORANGE, Options, Rows, main, progress, save, say

PHRASE = "the function returns an iterator object"
WORDS = ("goblinmode", " documentation")  # one that no topic holds, and one that many do
TINTS = plt.colormaps["YlGnBu"]


def shown(token: bytes) -> str:
    """A token as a picture can show it: white space becomes visible, and long runs of it short."""
    text = token.decode("utf-8", errors="replace").replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
    return f"{text[0]}×{len(text)}" if len(text) > 3 and len(set(text)) == 1 else text


def split_corpus(seed: int, quick: bool) -> tuple[list[str], list[str]]:
    """The topics of help() to train on, and one in ten of them to measure with."""
    topics = corpus.topics()
    random.Random(seed).shuffle(topics)
    held_out, training = topics[: len(topics) // 10], topics[len(topics) // 10 :]
    return (training[::2] if quick else training), held_out


def at_size(bpe: ModuleType, vocab: dict[int, bytes], merges: list, size: int):
    """The tokenizer that training would have given with this vocabulary size: the first merges are the same."""
    return bpe.Tokenizer({i: vocab[i] for i in range(size)}, merges[: size - 256])


# --- words growing together -------------------------------------------------------------------------------------------


def plot_merges(path: Path, bpe: ModuleType, merges: list) -> None:
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(11, 8.2), height_ratios=[3.4, 2])
    draw_trees(top, bpe.pretokenize(PHRASE), merges)
    draw_first_merges(bottom, merges)
    save(figure, path)


def draw_trees(axis: Axes, pretokens: list[str], merges: list) -> None:
    """Each word as a tree: letters below, and a joint at the height of the merge that joined two tokens."""
    ranks: dict[tuple[bytes, bytes], int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault(pair, rank)
    bottom, top, x = 0.75, 1.0, 0.0
    for pretoken in pretokens:
        nodes = []  # (token, centre, height) of what is there now
        for byte in pretoken.encode():
            nodes.append((bytes([byte]), x, bottom))
            is_space = byte == ord(" ")
            axis.text(
                x, bottom * 0.93, shown(bytes([byte])), ha="center", va="top", family="monospace", fontsize=13,
                color=GREY if is_space else INK,
            )  # fmt: skip
            x += 1
        while joints := [(ranks[a[0], b[0]], i) for i, (a, b) in enumerate(pairwise(nodes)) if (a[0], b[0]) in ranks]:
            rank, i = min(joints)
            (a, left, low), (b, right, high) = nodes[i : i + 2]
            height = max(rank + 1, 1.02 * max(low, high))
            colour = TINTS(0.35 + 0.6 * (len(a + b) - 2) / 8)
            axis.plot([left, left, right, right], [low, height, height, high], color=colour, linewidth=2.2)
            nodes[i : i + 2] = [(a + b, (left + right) / 2, height)]
        for token, centre, height in nodes:
            top = max(top, height)
            if len(token) > 1:
                axis.plot([centre, centre], [height, height * 1.25], color=GREEN, linewidth=2.2)
                axis.text(
                    centre, height * 1.32, shown(token), ha="center", va="bottom", family="monospace", fontsize=11,
                    color=GREEN, fontweight="bold",
                )  # fmt: skip
        x += 0.9
    axis.set(yscale="log", ylim=(0.45, top * 2.6), xlim=(-1, x), xticks=[])
    axis.set_yticks([1, 10, 100, 1000], ["1st", "10th", "100th", "1000th"])
    axis.minorticks_off()
    axis.grid(axis="y")
    axis.set_axisbelow(True)
    axis.spines["bottom"].set_visible(False)
    axis.set_ylabel("merge that joins them")
    axis.set_title(f"Words growing together: {len(merges):,} merges learned from Python's documentation")


def draw_first_merges(axis: Axes, merges: list, columns: int = 4, rows: int = 8) -> None:
    axis.set_axis_off()
    axis.set(xlim=(0, columns), ylim=(rows + 0.2, -0.4))
    axis.set_title(f"The first {columns * rows} merges")
    for k, (a, b) in enumerate(merges[: columns * rows]):
        column, row = divmod(k, rows)
        axis.text(column + 0.09, row + 0.3, f"{k + 1}", ha="right", va="center", fontsize=9, color=GREY)
        axis.text(
            column + 0.45, row + 0.3, f"{shown(a)} + {shown(b)}", ha="right", va="center", fontsize=10.5,
            family="monospace",
        )  # fmt: skip
        axis.text(column + 0.48, row + 0.3, "→", ha="left", va="center", color=GREY)
        axis.text(
            column + 0.55, row + 0.3, shown(a + b), ha="left", va="center", fontsize=10.5, color=GREEN,
            family="monospace", fontweight="bold",
        )  # fmt: skip


# --- one word, many vocabularies --------------------------------------------------------------------------------------


def plot_splits(path: Path, splits: dict[str, dict[int, list[bytes]]]) -> None:
    """`splits` has the tokens of each word at each vocabulary size."""
    longest = [len(word) for word in splits]
    sizes = list(next(iter(splits.values())))
    figure, axes = plt.subplots(
        1, len(splits), figsize=(11.5, 1.1 + 0.46 * len(sizes)), width_ratios=[n + 2 for n in longest], sharey=True
    )
    for axis, (word, by_size) in zip(axes, splits.items(), strict=True):
        for row, tokens in enumerate(by_size.values()):
            x = 0
            for token in tokens:
                tint = 0.05 + 0.75 * (len(token) - 1) / (len(word) - 1)
                axis.add_patch(
                    FancyBboxPatch(
                        (x + 0.06, row - 0.36), len(token) - 0.12, 0.72, facecolor=TINTS(tint), edgecolor="white",
                        boxstyle="round,pad=0,rounding_size=0.14",
                    )
                )  # fmt: skip
                colour = "white" if tint > 0.45 else INK
                axis.text(
                    x + len(token) / 2, row, shown(token), ha="center", va="center", family="monospace", fontsize=12,
                    color=colour,
                )  # fmt: skip
                x += len(token)
            many = f"{len(tokens)} tokens" if len(tokens) > 1 else "1 token"
            axis.text(x + 0.3, row, many, va="center", fontsize=9, color=GREY)
        axis.set(xlim=(0, len(word) + 2.2), ylim=(len(sizes) - 0.4, -0.6), xticks=[])
        axis.tick_params(axis="y", length=0)
        axis.spines[:].set_visible(False)
        seen = "a word of the text" if len(next(reversed(by_size.values()))) == 1 else "not in the text"
        axis.set_title(f"“{word.strip()}”, {seen}")
    axes[0].set_yticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    axes[0].set_ylabel("vocabulary size")
    save(figure, path)


# --- compression ------------------------------------------------------------------------------------------------------


def plot_compression(path: Path, sizes: list[int], held_out: list[float], trained: list[float]) -> None:
    figure, axis = plt.subplots(figsize=(8, 4.8))
    axis.plot(sizes, trained, marker="o", color=ORANGE, label="topics that it was trained on")
    axis.plot(sizes, held_out, marker="o", color=BLUE, label="other topics")
    for size, ratio in zip(sizes, held_out, strict=True):
        axis.annotate(f"{ratio:.2f}", (size, ratio), (9, -13), textcoords="offset points", ha="center", color=BLUE)
    axis.set(xscale="log", ylim=(0.6, None), xlabel="vocabulary size", ylabel="bytes per token")
    axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axis.minorticks_off()
    axis.grid(axis="y")
    axis.legend(loc="upper left")
    axis.set_title("Each doubling of the vocabulary buys less")
    save(figure, path)


# --- all of it --------------------------------------------------------------------------------------------------------


def run(bpe: ModuleType, options: Options) -> Rows:
    training, held_out = split_corpus(options.seed, options.quick)
    vocab_size = 2048 if options.quick else 8192
    megabytes = sum(len(text.encode()) for text in training) / 1e6
    say(f"training on {len(training)} topics, {megabytes:.2f} MB, up to {vocab_size} tokens (slow code: minutes)")
    started = time.perf_counter()
    vocab, merges = bpe.train_bpe(training, vocab_size)
    say(f"learned {len(merges)} merges in {time.perf_counter() - started:.1f} s")
    plot_merges(options.out / "merges.png", bpe, merges)

    sizes = [size for size in (256, 320, 384, 512, 768, 1024, 2048, 4096, 8192) if size <= len(vocab)]
    doublings = [size for size in sizes if size.bit_count() == 1]
    splits: dict[str, dict[int, list[bytes]]] = {word: {} for word in WORDS}
    ratios = {}
    for size in progress(sizes, "vocabulary size"):
        tokenizer = at_size(bpe, vocab, merges, size)
        for word, by_size in splits.items():
            by_size[size] = [vocab[i] for i in tokenizer.encode(word)]
        if size in doublings:
            ratios[size] = [
                bpe.compression_ratio(tokenizer, "\n".join(texts)) for texts in (held_out, training[: len(held_out)])
            ]
    plot_splits(options.out / "split.png", splits)
    held_out_ratios, training_ratios = ([ratios[size][k] for size in doublings] for k in (0, 1))
    plot_compression(options.out / "compression.png", doublings, held_out_ratios, training_ratios)

    rows = [("vocabulary", "bytes per token", WORDS[0])]
    for size in doublings:
        pieces = " ".join(map(shown, splits[WORDS[0]][size]))
        rows.append((f"{size:,}", f"{ratios[size][0]:.2f}", pieces))
    return rows


if __name__ == "__main__":
    main("bpe", run, __doc__)
