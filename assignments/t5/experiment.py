"""Train your T5 on this Python's own documentation by span corruption, and let it fill spans that it has never seen.

    python experiment.py --quick        some seconds
    python experiment.py                about four minutes on two cores

Uses the t5.py beside this file, and saves four pictures: masks.png (span masks at four settings), loss.png (what a
token that was cut out costs), biases.png (what distance is worth to each head) and cross-attention.png (where the
decoder looks while it writes). The sentences that it filled stand above the table.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.given import corpus
from autograder.given.experiment import BLUE, GREY, ORANGE, Options, Rows, arguments_of, main, save, say
from autograder.given.tokenizer import Tokenizer

SPECIALS = [f"<extra_id_{i}>" for i in range(32)]
BLANKS = (
    "Return a list of <extra_id_0> in the directory.",
    "If the argument is not given, it <extra_id_0> to None.",
    "This method <extra_id_0> a KeyError if the key is not <extra_id_1>.",
    "The file is opened in <extra_id_0> mode.",
    "Changed in <extra_id_0> 3.2: the method was added.",
)
LOOKED_AT = BLANKS[2]  # in the picture of cross-attention
NOISE = {"noise_density": 0.5, "mean_span_length": 3.0}  # T5 cuts out 0.15; here there is little text to learn from
BATCH = 64  # of held-out windows that are asked at once


# --- text -------------------------------------------------------------------------------------------------------------


def texts(quick: bool) -> tuple[list[str], list[str]]:
    """Paragraphs to learn from, and held-out ones: every twentieth."""
    found = corpus.documents(corpus.topics() if quick else corpus.topics() + corpus.docstrings())
    paragraphs = [" ".join(document) for document in found]
    return [text for i, text in enumerate(paragraphs) if i % 20], paragraphs[::20]


def stream(tokenizer: Tokenizer, paragraphs: list[str]) -> Tensor:
    """All paragraphs in one row of tokens, each ended by EOS."""
    return torch.tensor([i for text in paragraphs for i in [*tokenizer.encode(text), tokenizer.eos_id]])


class Spans:
    """Held-out windows, corrupted once and for all, so that every model and step is asked the same."""

    def __init__(self, t5: ModuleType, tokens: Tensor, sentinels: list[int], tokenizer: Tokenizer, length: int, n: int):
        source = torch.Generator().manual_seed(7)
        starts = torch.randint(len(tokens) - length + 1, (n, 1), generator=source)
        windows = tokens[starts + torch.arange(length)]
        mask = t5.random_spans_noise_mask(length, generator=source, batch_size=n, **NOISE)
        self.src, self.labels = t5.span_corrupt(windows, mask, sentinels, eos_id=tokenizer.eos_id)
        self.read = t5.shift_right(self.labels, start_id=tokenizer.pad_id, pad_id=tokenizer.pad_id)
        self.marks = torch.tensor([*sentinels, tokenizer.eos_id])
        self.is_word = ~torch.isin(self.labels, self.marks)  # the tokens that were cut out, not what marks them
        self.first = self.is_word & torch.isin(self.read, torch.tensor(sentinels))
        self.words = self.labels[self.is_word]

    @torch.no_grad()
    def ask(self, model: nn.Module, device: str) -> tuple[float, float, float]:
        """(nats a token that was cut out, share of them right, share of the first tokens of spans right).

        All before a token is given, and that a token comes, and no sentinel: how long spans are is nothing to know.
        """
        logits = []
        for src, read in zip(self.src.split(BATCH), self.read.split(BATCH), strict=True):
            src, read = src.to(device), read.to(device)
            logits.append(model(src, torch.ones_like(src, dtype=torch.bool), read).float().cpu())
        z = torch.cat(logits).index_fill(-1, self.marks, -math.inf)
        right = z.argmax(-1) == self.labels
        nats = float(F.cross_entropy(z[self.is_word], self.words))
        return nats, float(right[self.is_word].float().mean()), float(right[self.first].float().mean())


def unigram(tokens: Tensor, spans: Spans, vocab_size: int) -> tuple[float, float, float]:
    """The same of a model that knows how often each token occurs and nothing else, with one added to each count."""
    counts = (torch.bincount(tokens, minlength=vocab_size) + 1.0).index_fill(0, spans.marks, 0.0)
    log_probs = (counts / counts.sum()).log()
    right = spans.labels == log_probs.argmax()
    shares = (float(right[where].float().mean()) for where in (spans.is_word, spans.first))
    return -float(log_probs[spans.words].mean()), *shares


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_masks(t5: ModuleType, path: Path) -> None:
    """Twenty masks for each of four settings."""
    settings = [(0.15, 3.0), (0.15, 1.0), (0.5, 3.0), (0.5, 10.0)]
    figure, axes = plt.subplots(2, 2, figsize=(11, 5.6), sharex=True)
    for (density, mean), axis in zip(settings, axes.flat, strict=True):
        masks = t5.random_spans_noise_mask(64, density, mean, torch.Generator().manual_seed(0), batch_size=20)
        n, s = t5.noise_counts(64, density, mean)
        axis.imshow(masks, cmap="Blues", vmin=0, vmax=1.3, aspect="auto", interpolation="nearest")
        axis.set_title(f"density {density}, mean span {mean:g}: {n} tokens in {s} spans")
        axis.set(yticks=[])
        axis.spines[:].set_visible(False)
    for axis in axes[1]:
        axis.set_xlabel("token")
    for axis in axes[:, 0]:
        axis.set_ylabel("twenty masks")
    save(figure, path)


def plot_loss(path: Path, steps: list[int], nats: list[float], losses: list[float], baseline: float) -> None:
    figure, axis = plt.subplots(figsize=(8, 4.6))
    axis.plot(range(1, len(losses) + 1), losses, color=GREY, linewidth=0.6, alpha=0.6)
    axis.text(len(losses), losses[-1] - 0.35, "training: every target, sentinels too", ha="right", va="top", color=GREY)
    axis.axhline(baseline, color=ORANGE, linestyle="--")
    axis.text(len(losses), baseline + 0.08, "unigram", ha="right", color=ORANGE)
    axis.plot(steps, nats, marker="o", color=BLUE)
    axis.text(steps[-1], nats[-1] + 0.2, "your T5", ha="right", color=BLUE)
    axis.set(xlabel="step", ylabel="nats a token", title="What a token that was cut out costs", ylim=(0, baseline + 2))
    axis.grid(axis="y")
    save(figure, path)


def plot_biases(t5: ModuleType, path: Path, model: nn.Module, length: int = 64) -> None:
    """What each head adds to the score of a key at a distance from the query."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    stacks = (("encoder", model.encoder_bias, True), ("decoder", model.decoder_bias, False))
    for (name, table, both), axis in zip(stacks, axes, strict=True):
        bias = t5.relative_position_bias(
            table.weight.detach().cpu(), 2 * length, bidirectional=both, max_distance=model.config.max_distance
        )[0]
        relative = range(-length, length) if both else range(-length, 1)
        for h, of_head in enumerate(bias[:, length]):
            axis.plot(relative, of_head[: len(relative)], label=f"head {h}", drawstyle="steps-mid", linewidth=1.5)
        axis.set(xlabel="key minus query", title=f"{name.capitalize()}: bias by distance")
        axis.grid(axis="y")
    axes[0].set_ylabel("added to the score")
    axes[1].legend(ncols=2)
    save(figure, path)


@torch.no_grad()
def cross_attention(model: nn.Module, src: Tensor, read: Tensor) -> Tensor:
    """(T, S): how much each target token looks at each source token, the mean over heads of the last layer."""
    layer = model.decoder[-1].cross_attention
    with arguments_of([layer]) as seen:
        model(src, torch.ones_like(src, dtype=torch.bool), read)
    x, context, heads = seen[0]["x"], seen[0]["context"], (layer.n_heads, -1)
    q, k = layer.q(x)[0].unflatten(-1, heads), layer.k(context)[0].unflatten(-1, heads)
    return torch.einsum("thd,shd->hts", q, k).softmax(-1).mean(0).cpu()


def plot_cross_attention(path: Path, weights: Tensor, source: list[str], written: list[str]) -> None:
    """Row t: where the decoder looked when it wrote token t."""
    figure, axis = plt.subplots(figsize=(0.34 * len(source) + 3, 0.3 * len(written) + 2))
    image = axis.imshow(weights, cmap="magma_r", vmin=0, aspect="auto")
    axis.set_xticks(range(len(source)), source, rotation=90, fontsize=9)
    axis.set_yticks(range(len(written)), written, fontsize=9)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set(xlabel="source", ylabel="written", title="Where the decoder looks (last layer, mean of heads)")
    figure.colorbar(image, ax=axis, label="weight", pad=0.02)
    save(figure, path)


def short(tokenizer: Tokenizer, i: int) -> str:
    """A token for an axis: <0> for the first sentinel."""
    text = tokenizer.decode([i]).strip().replace("extra_id_", "").replace("$", r"\$")
    return {tokenizer.pad_id: "pad", tokenizer.eos_id: "EOS"}.get(i, text or "_")


# --- the experiment ---------------------------------------------------------------------------------------------------


def run(t5: ModuleType, options: Options) -> Rows:
    quick, device = options.quick, options.device
    steps, batch_size, inputs_length = (450, 16, 32) if quick else (1600, 32, 64)
    plot_masks(t5, options.out / "masks.png")

    train, held_out = texts(quick)
    say(f"{len(train):,} paragraphs to learn from, {len(held_out)} held out; training the tokenizer")
    tokenizer = Tokenizer.train(train, 1000, SPECIALS)
    sentinels = t5.sentinel_ids(tokenizer)
    tokens, unseen = stream(tokenizer, train), stream(tokenizer, held_out)
    config = t5.T5Config(
        tokenizer.vocab_size, d_model=64 if quick else 128, n_layers=1 if quick else 2, d_ff=128 if quick else 512
    )
    length, targets_length = t5.t5_lengths(inputs_length, **NOISE)
    say(f"{len(tokens):,} tokens; a window of {length} makes inputs of {inputs_length} and targets of {targets_length}")
    spans = Spans(t5, unseen, sentinels, tokenizer, length, 64 if quick else 384)
    baseline = unigram(tokens, spans, config.vocab_size)
    at: list[int] = []
    nats: list[float] = []
    started = time.monotonic()

    def on_step(step: int, model: nn.Module) -> None:
        if step % max(steps // 14, 1) == 0 or step == steps:
            at.append(step)
            nats.append(spans.ask(model, device)[0])
            left = (time.monotonic() - started) * (steps - step) / step
            say(f"step {step:4} of {steps}: {nats[-1]:.3f} nats a token, about {left:.0f} s left")

    model, losses = t5.train_t5(
        config, tokens, steps, sentinel_ids=sentinels, eos_id=tokenizer.eos_id, pad_id=tokenizer.pad_id,
        inputs_length=inputs_length, batch_size=batch_size, learning_rate=5e-3 if quick else 2e-3,
        generator=torch.Generator().manual_seed(options.seed), device=device, on_step=on_step, **NOISE,
    )  # fmt: skip
    seconds = time.monotonic() - started
    reached = spans.ask(model, device)
    plot_loss(options.out / "loss.png", at, nats, losses, baseline[0])
    plot_biases(t5, options.out / "biases.png", model)

    for text in BLANKS:
        for i, span in enumerate(t5.fill_spans(model, tokenizer, text, max_new_tokens=16)):
            text = text.replace(f"<extra_id_{i}>", f"[{span.strip()}]")
        print(text)
    ids = torch.tensor([[*tokenizer.encode(LOOKED_AT), tokenizer.eos_id]], device=device)
    written = t5.greedy_decode(
        model, ids, torch.ones_like(ids, dtype=torch.bool), start_id=tokenizer.pad_id, eos_id=tokenizer.eos_id,
        pad_id=tokenizer.pad_id, max_new_tokens=16,
    )  # fmt: skip
    read = t5.shift_right(written, start_id=tokenizer.pad_id, pad_id=tokenizer.pad_id)
    names = ([short(tokenizer, i) for i in row[0].tolist()] for row in (ids, written))
    plot_cross_attention(options.out / "cross-attention.png", cross_attention(model, ids, read), *names)

    per_second = steps * batch_size * (inputs_length + targets_length) / seconds
    say(f"{steps} steps in {seconds:.0f} s: {per_second:,.0f} tokens a second, both sides counted")
    print()
    return [
        ("held-out spans", "your T5", "unigram"),
        ("nats a token", f"{reached[0]:.3f}", f"{baseline[0]:.3f}"),
        ("perplexity", f"{math.exp(reached[0]):.0f}", f"{math.exp(baseline[0]):.0f}"),
        ("tokens right", f"{reached[1]:.1%}", f"{baseline[1]:.1%}"),
        ("first tokens of spans right", f"{reached[2]:.1%}", f"{baseline[2]:.1%}"),
    ]


if __name__ == "__main__":
    main("t5", run, __doc__)
