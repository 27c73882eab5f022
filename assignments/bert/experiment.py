"""Pre-train your BERT on this Python's own documentation, and let it fill in blanks that it has never seen.

    python experiment.py --quick        some seconds: does it work?
    python experiment.py                about four minutes on two cores

Uses the bert.py beside this file, and saves four pictures: loss.png (what a blank costs while the model learns),
ranks.png (how often the right word is among the first), attention.png (what its heads look at) and blanks.png
(sentences filled in).
"""

from __future__ import annotations

import math
import random
import time
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from autograder.given import corpus
from autograder.given.experiment import BLUE, GREY, RED, Options, Rows, arguments_of, main, save, say
from autograder.given.tokenizer import Tokenizer

SPECIALS = ("[CLS]", "[SEP]", "[MASK]")
BLANKS = (
    "The function returns a [MASK] of strings.",
    "If the argument is not given, it defaults to [MASK].",
    "This method raises a [MASK] if the key is not found.",
    "Return the number of [MASK] in the list.",
    "The [MASK] statement is used to define a function.",
)


# --- text -------------------------------------------------------------------------------------------------------------


def texts(quick: bool) -> tuple[list[list[str]], list[list[str]]]:
    """Documents (lists of sentences) to train on and held-out ones: every twentieth is held out."""
    found = corpus.documents(corpus.topics() if quick else corpus.topics() + corpus.docstrings())
    return [document for i, document in enumerate(found) if i % 20], found[::20]


def as_ids(tokenizer: Tokenizer, documents: list[list[str]]) -> list[list[list[int]]]:
    """The sentences as lists of ids; without empty ones."""
    encoded = [[ids for sentence in document if (ids := tokenizer.encode(sentence))] for document in documents]
    return [document for document in encoded if len(document) > 1]


class Blanks:
    """Held-out pairs, masked once and for all, so that every model and step is asked the same."""

    def __init__(
        self, bert: ModuleType, documents, ids: dict[str, int], config, seed: int, device: str, most: int
    ) -> None:
        examples = bert.sample_nsp_pairs(documents, random.Random(seed))
        examples = random.Random(seed).sample(examples, min(most, len(examples)))
        names = {name: ids[name] for name in ("pad_id", "cls_id", "sep_id")}
        batch = bert.collate_pairs(examples, max_len=config.context_length, **names)
        self.inputs, self.labels = bert.mask_tokens(
            batch.input_ids,
            mask_id=ids["mask_id"],
            vocab_size=config.vocab_size,
            special_mask=batch.special_mask,
            generator=torch.Generator().manual_seed(seed),
        )
        self.words = self.labels[self.labels != -100]
        self.batch, self.device = batch, device

    @torch.no_grad()
    def ask(self, model: nn.Module) -> tuple[float, list[int], float]:
        """(nats a blank, the rank of each right word from 0, the share of pairs that were told apart)."""
        training = model.training
        model.eval()
        logits, right = [], 0
        for i in range(0, len(self.inputs), 64):
            rows = slice(i, i + 64)
            words, pair = model(
                self.inputs[rows].to(self.device),
                self.batch.segment_ids[rows].to(self.device),
                self.batch.attention_mask[rows].to(self.device),
            )
            logits.append(words.cpu()[self.labels[rows] != -100].float())
            right += int((pair.argmax(-1).cpu() == self.batch.nsp_labels[rows]).sum())
        model.train(training)
        z = torch.cat(logits)
        nats = float(nn.functional.cross_entropy(z, self.words))
        return nats, ranks(z, self.words), right / len(self.inputs)


def ranks(scores: Tensor, words: Tensor) -> list[int]:
    """How many words have a higher score than the right one."""
    return (scores > scores.gather(-1, words[:, None])).sum(-1).tolist()


def unigram(documents, words: Tensor, vocab_size: int) -> tuple[float, list[int]]:
    """(nats a blank, ranks) of a model that knows how often each word occurs, with one added to each count."""
    counts = torch.bincount(torch.tensor([i for d in documents for s in d for i in s]), minlength=vocab_size) + 1.0
    log_probs = (counts / counts.sum()).log()
    return -float(log_probs[words].mean()), ranks(log_probs.expand(len(words), -1), words)


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_loss(path: Path, steps: list[int], nats: list[float], losses: list[float], baseline: float) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot(range(1, len(losses) + 1), losses, color=GREY, linewidth=0.6, label="training: words and pairs")
    axes.plot(steps, nats, marker="o", color=BLUE, label="BERT, held-out blanks")
    axes.axhline(baseline, color=RED, linestyle="--", label="unigram, held-out blanks")
    axes.set(xlabel="step", ylabel="nats", title="What a blank costs")
    axes.legend()
    save(figure, path)


def plot_ranks(path: Path, ours: list[int], theirs: list[int]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    among = [1, 2, 5, 10, 20, 50, 100]
    for name, found, colour in (("BERT", ours, BLUE), ("unigram", theirs, RED)):
        axes.plot(among, [sum(r < k for r in found) / len(found) for k in among], marker="o", color=colour, label=name)
    axes.set(
        xscale="log", xlabel="k", ylabel="share of blanks", title="The right word is among the first k", ylim=(0, 1)
    )
    axes.legend()
    save(figure, path)


@torch.no_grad()
def attention_maps(model: nn.Module, input_ids: Tensor, segment_ids: Tensor) -> list[Tensor]:
    """The weights (H, T, T) of each layer for one sequence, from what enters each attention."""
    with arguments_of([layer.attention for layer in model.layers]) as seen:
        model(input_ids, segment_ids)
    maps = []
    for layer, given in zip(model.layers, seen, strict=True):
        attention, x = layer.attention, given["x"]
        q, k = (p(x)[0].unflatten(-1, (attention.n_heads, -1)).transpose(0, 1) for p in (attention.q, attention.k))
        maps.append((q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1).cpu())
    return maps


def plot_attention(path: Path, maps: list[Tensor], pieces: list[str]) -> None:
    rows, columns = len(maps), len(maps[0])
    figure, axes = plt.subplots(rows, columns, figsize=(2.6 * columns, 2.8 * rows), squeeze=False)
    for i, layer in enumerate(maps):
        for h, weights in enumerate(layer):
            axes[i, h].imshow(weights, cmap="viridis", vmin=0)
            axes[i, h].set_title(f"layer {i}, head {h}", fontsize=8)
            axes[i, h].set_xticks(range(len(pieces)), pieces, rotation=90, fontsize=5)
            axes[i, h].set_yticks(range(len(pieces)), pieces, fontsize=5)
    save(figure, path)


def plot_blanks(path: Path, fillings: list[tuple[str, list[tuple[str, float]]]]) -> None:
    figure, axes = plt.subplots(len(fillings), 1, figsize=(7, 1.6 * len(fillings)), squeeze=False, sharex=True)
    for (text, found), ax in zip(fillings, axes[:, 0], strict=True):
        words, probabilities = [repr(word)[1:-1] for word, _ in found], [p for _, p in found]
        ax.barh(range(len(found)), probabilities)
        ax.set_yticks(range(len(found)), words, fontsize=8)
        ax.invert_yaxis()
        ax.set_title(text, fontsize=9, loc="left")
    ax.set_xlabel("probability")
    save(figure, path)


# --- the experiment ---------------------------------------------------------------------------------------------------


def run(bert: ModuleType, options: Options) -> Rows:
    quick, device = options.quick, options.device
    if quick:
        torch.set_num_threads(1)  # the matrices are too small for two
    train, held_out = texts(quick)
    say(f"{len(train)} documents to learn from, {len(held_out)} held out; training the tokenizer")
    tokenizer = Tokenizer.train((s for document in train for s in document), 1000 if quick else 2000, SPECIALS)
    ids = {"pad_id": tokenizer.pad_id}
    ids |= {f"{name.strip('[]').lower()}_id": tokenizer.id(name) for name in SPECIALS}
    documents, unseen = as_ids(tokenizer, train), as_ids(tokenizer, held_out)
    config = bert.BertConfig(
        vocab_size=tokenizer.vocab_size,
        context_length=32 if quick else 64,
        d_model=64 if quick else 128,
        n_heads=4,
        n_layers=1 if quick else 3,
        d_ff=256 if quick else 512,
        dropout=0.0,
        pad_id=tokenizer.pad_id,
    )
    blanks = Blanks(bert, unseen, ids, config, options.seed, device, 100 if quick else 400)
    baseline, unigram_ranks = unigram(documents, blanks.words, config.vocab_size)
    steps, at, nats, started = 300 if quick else 1400, [], [], time.monotonic()

    def on_step(step: int, model: nn.Module) -> None:
        if step % (steps // 20) == 0:
            at.append(step)
            nats.append(blanks.ask(model)[0])
            left = (time.monotonic() - started) * (steps - step) / step
            say(
                f"step {step} of {steps}: {nats[-1]:.3f} nats a blank (unigram {baseline:.3f}), about {left:.0f} s left"
            )

    special = {name: ids[name] for name in ("cls_id", "sep_id", "mask_id")}
    generator = torch.Generator().manual_seed(options.seed)
    training = {"learning_rate": 3e-3 if quick else 2e-3, "generator": generator, "device": device}
    model, losses = bert.train_mlm(config, documents, steps, on_step=on_step, **training, **special)
    say(f"{steps} steps in {time.monotonic() - started:.0f} s")
    model.eval()
    reached, ours, told_apart = blanks.ask(model)
    fillings = [(text, bert.fill_mask(model, tokenizer, text, k=5)) for text in BLANKS]

    plot_loss(options.out / "loss.png", at, nats, losses, baseline)
    plot_ranks(options.out / "ranks.png", ours, unigram_ranks)
    plot_blanks(options.out / "blanks.png", fillings)
    a, b = (tokenizer.encode(text) for text in ("The function returns a list.", "The list is sorted."))
    markers = {"cls_id": ids["cls_id"], "sep_id": ids["sep_id"]}
    pair, segments = bert.make_sentence_pair(a, b, max_len=config.context_length, **markers)
    maps = attention_maps(model, torch.tensor([pair], device=device), torch.tensor([segments], device=device))
    plot_attention(options.out / "attention.png", maps, [tokenizer.decode([i]).strip() for i in pair])

    rows = [("", "BERT", "unigram"), ("nats a blank", f"{reached:.3f}", f"{baseline:.3f}")]
    for k in (1, 5):
        shares = (f"{sum(rank < k for rank in found) / len(found):.1%}" for found in (ours, unigram_ranks))
        rows.append((f"right word among the first {k}", *shares))
    return [*rows, ("pairs told apart", f"{told_apart:.1%}", "50.0%")]


if __name__ == "__main__":
    main("bert", run, __doc__)
