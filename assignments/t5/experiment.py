"""Train your T5 on this Python's own documentation by span corruption, and let it fill spans that it has never seen.

    python experiment.py --quick        some seconds: does it work?
    python experiment.py                about four minutes on two cores

Uses the `t5.py` beside this file (`--solution FILE` for another), and writes pictures to `--out DIR`.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import time
from pathlib import Path
from types import ModuleType

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from autograder.given import corpus
from autograder.given.tokenizer import Tokenizer

SPECIALS = [f"<extra_id_{i}>" for i in range(32)]
BLANKS = (
    "Return a list of <extra_id_0> in the directory.",
    "If the argument is not given, it <extra_id_0> to None.",
    "This method <extra_id_0> a KeyError if the key is not <extra_id_1>.",
    "The file is opened in <extra_id_0> mode.",
    "Changed in <extra_id_0> 3.2: the method was added.",
)


def load(path: Path) -> ModuleType:
    """The student's file as a module."""
    spec = importlib.util.spec_from_file_location("t5", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["t5"] = module
    spec.loader.exec_module(module)
    return module


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- text -------------------------------------------------------------------------------------------------------------


def texts(quick: bool) -> tuple[list[str], list[str]]:
    """Paragraphs to learn from, and held-out ones: every twentieth."""
    found = corpus.documents(corpus.topics() if quick else corpus.topics() + corpus.docstrings())
    paragraphs = [" ".join(document) for document in found]
    return [text for i, text in enumerate(paragraphs) if i % 20], paragraphs[::20]


def stream(tokenizer: Tokenizer, paragraphs: list[str]) -> torch.Tensor:
    """All paragraphs in one row of tokens, each ended by EOS."""
    return torch.tensor([i for text in paragraphs for i in [*tokenizer.encode(text), tokenizer.eos_id]])


class Spans:
    """Held-out windows, corrupted once and for all, so that every model and step is asked the same."""

    def __init__(self, t5: ModuleType, tokens: torch.Tensor, sentinels, eos_id: int, length: int, n: int) -> None:
        source = torch.Generator().manual_seed(7)
        starts = torch.randint(len(tokens) - length + 1, (n, 1), generator=source)
        windows = tokens[starts + torch.arange(length)]
        mask = t5.random_spans_noise_mask(length, generator=source, batch_size=n)
        self.src, self.labels = t5.span_corrupt(windows, mask, sentinels, eos_id=eos_id)
        self.marks = torch.tensor([*sentinels, eos_id])
        self.is_word = ~torch.isin(self.labels, self.marks)  # the tokens that were cut out, not what marks them
        self.is_word[:, -1] = False
        self.first = self.is_word & torch.isin(F.pad(self.labels[:, :-1], (1, 0)), torch.tensor(sentinels))
        self.words = self.labels[self.is_word]

    @torch.no_grad()
    def ask(self, t5: ModuleType, model: torch.nn.Module, pad_id: int, device: str) -> tuple[float, float, float]:
        """(nats a token that was cut out, share of them right, share of the first tokens of spans right).

        All before a token is given, and that a token comes, and no sentinel: how long spans are is nothing to know.
        """
        logits = []
        for rows in torch.arange(len(self.src)).split(64):
            src, labels = self.src[rows].to(device), self.labels[rows]
            read = t5.shift_right(labels, start_id=pad_id, pad_id=pad_id).to(device)
            logits.append(model(src, torch.ones_like(src, dtype=torch.bool), read).float().cpu())
        z = torch.cat(logits).index_fill(-1, self.marks, -math.inf)
        right = z.argmax(-1) == self.labels
        nats = float(F.cross_entropy(z[self.is_word], self.words))
        return nats, float(right[self.is_word].float().mean()), float(right[self.first].float().mean())


def unigram(tokens: torch.Tensor, words: torch.Tensor, vocab_size: int) -> tuple[float, float]:
    """(nats, share right) of a model that knows how often each token occurs, with one added to each count."""
    counts = torch.bincount(tokens, minlength=vocab_size) + 1.0
    log_probs = (counts / counts.sum()).log()
    return -float(log_probs[words].mean()), float((words == log_probs.argmax()).float().mean())


# --- pictures ---------------------------------------------------------------------------------------------------------


def save(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    say(f"wrote {path}")


def plot_masks(t5: ModuleType, path: Path) -> None:
    """Twenty masks for each of four settings."""
    settings = [(0.15, 3.0), (0.15, 1.0), (0.5, 3.0), (0.5, 10.0)]
    figure, axes = plt.subplots(2, 2, figsize=(9, 5))
    for (density, mean), ax in zip(settings, axes.flat, strict=True):
        masks = t5.random_spans_noise_mask(64, density, mean, torch.Generator().manual_seed(0), batch_size=20)
        n, s = t5.noise_counts(64, density, mean)
        ax.imshow(masks, cmap="Greys", aspect="auto", interpolation="nearest")
        ax.set_title(f"density {density}, mean span {mean:g}: {n} tokens in {s} spans", fontsize=9)
        ax.set_xlabel("token", fontsize=8)
    save(figure, path)


def plot_loss(path: Path, steps: list[int], nats: list[float], losses: list[float], baseline: float) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot(range(1, len(losses) + 1), losses, color="lightgray", linewidth=0.7, label="training: all targets")
    axes.plot(steps, nats, marker="o", label="T5, held-out tokens")
    axes.axhline(baseline, color="tab:red", linestyle="--", label="unigram, held-out tokens")
    axes.set(xlabel="step", ylabel="nats", title="What a token that was cut out costs", ylim=(0, 2 + baseline))
    axes.legend()
    save(figure, path)


def plot_biases(t5: ModuleType, path: Path, model: torch.nn.Module, length: int = 64) -> None:
    """What each head adds to the score of a key at a distance from the query."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    stacks = (("encoder", model.encoder_bias, True), ("decoder", model.decoder_bias, False))
    for (name, table, both), ax in zip(stacks, axes, strict=True):
        bias = t5.relative_position_bias(table.weight.detach().cpu(), 2 * length, bidirectional=both)[0]
        relative = range(-length, length) if both else range(-length, 1)
        for h, of_head in enumerate(bias[:, length]):
            ax.plot(relative, of_head[: len(relative)], label=f"head {h}", drawstyle="steps-mid")
        ax.set(xlabel="key minus query", title=f"{name}: bias by distance")
        ax.legend(fontsize=7)
    save(figure, path)


@torch.no_grad()
def cross_attention(model: torch.nn.Module, src: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    """(T, S): how much each target token looks at each source token, the mean over heads of the last layer."""
    layer, seen = model.decoder[-1].cross_attention, []
    hook = layer.register_forward_hook(lambda module, args, out: seen.append(args[:2]))
    model(src, torch.ones_like(src, dtype=torch.bool), read)
    hook.remove()
    (x, context), heads = seen[0], (layer.n_heads, -1)
    q, k = layer.q(x)[0].unflatten(-1, heads), layer.k(context)[0].unflatten(-1, heads)
    return torch.einsum("thd,shd->hts", q, k).softmax(-1).mean(0).cpu()


def plot_cross_attention(path: Path, weights: torch.Tensor, source: list[str], target: list[str]) -> None:
    figure, axes = plt.subplots(figsize=(0.25 * len(source) + 2, 0.25 * len(target) + 2))
    axes.imshow(weights, cmap="viridis", vmin=0, aspect="auto")
    axes.set_xticks(range(len(source)), source, rotation=90, fontsize=7)
    axes.set_yticks(range(len(target)), target, fontsize=7)
    axes.set(xlabel="source", ylabel="written so far", title="Where the decoder looks (last layer, mean of heads)")
    save(figure, path)


def short(tokenizer: Tokenizer, i: int) -> str:
    """A token for an axis: <0> for the first sentinel."""
    text = tokenizer.decode([i]).strip().replace("extra_id_", "").replace("$", r"\$")
    return {tokenizer.pad_id: "start", tokenizer.eos_id: "EOS"}.get(i, text or "_")


# --- the experiment ---------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> None:
    t5 = load(options.solution)
    quick, device = options.quick, options.device
    steps = options.steps or (60 if quick else 700)
    options.out.mkdir(parents=True, exist_ok=True)
    plot_masks(t5, options.out / "masks.png")

    train, held_out = texts(quick)
    say(f"{len(train)} paragraphs to learn from, {len(held_out)} held out; training the tokenizer")
    tokenizer = Tokenizer.train(train, 1000 if quick else 2000, SPECIALS)
    sentinels = t5.sentinel_ids(tokenizer)
    tokens, unseen = stream(tokenizer, train), stream(tokenizer, held_out)
    config = t5.T5Config(
        tokenizer.vocab_size, d_model=64 if quick else 128, n_layers=1 if quick else 2, d_ff=128 if quick else 512
    )
    inputs_length, batch_size = (32, 16) if quick else (64, 32)
    length, targets_length = t5.t5_lengths(inputs_length)
    say(f"{len(tokens):,} tokens; a window of {length} makes inputs of {inputs_length} and targets of {targets_length}")
    spans = Spans(t5, unseen, sentinels, tokenizer.eos_id, length, 64 if quick else 384)
    baseline, most_common = unigram(tokens, spans.words, config.vocab_size)
    at, nats, started = [], [], time.monotonic()

    def on_step(step: int, model: torch.nn.Module) -> None:
        if step % max(steps // 14, 1) == 0 or step == steps:
            at.append(step)
            nats.append(spans.ask(t5, model, tokenizer.pad_id, device)[0])
            left = (time.monotonic() - started) * (steps - step) / step
            say(f"step {step:5} of {steps}: {nats[-1]:.3f} nats a token (unigram {baseline:.3f}), {left:.0f} s left")

    model, losses = t5.train_t5(
        config, tokens, steps, sentinel_ids=sentinels, eos_id=tokenizer.eos_id, pad_id=tokenizer.pad_id,
        inputs_length=inputs_length, batch_size=batch_size, learning_rate=5e-3 if quick else 3e-3,
        generator=torch.Generator().manual_seed(options.seed), device=device, on_step=on_step,
    )  # fmt: skip
    seconds = time.monotonic() - started
    model.eval()
    reached, right, first_right = spans.ask(t5, model, tokenizer.pad_id, device)
    plot_loss(options.out / "loss.png", at, nats, losses, baseline)
    plot_biases(t5, options.out / "biases.png", model)

    filled = []
    for text in BLANKS:
        found = t5.fill_spans(model, tokenizer, text, max_new_tokens=16)
        filled.append((text, found))
    ids = torch.tensor([[*tokenizer.encode(BLANKS[2]), tokenizer.eos_id]], device=device)
    written = t5.greedy_decode(
        model, ids, torch.ones_like(ids, dtype=torch.bool), start_id=tokenizer.pad_id, eos_id=tokenizer.eos_id,
        pad_id=tokenizer.pad_id, max_new_tokens=16,
    )  # fmt: skip
    read = t5.shift_right(written, start_id=tokenizer.pad_id, pad_id=tokenizer.pad_id)
    names = [[short(tokenizer, i) for i in row[0].tolist()] for row in (ids, read)]
    plot_cross_attention(options.out / "cross_attention.png", cross_attention(model, ids, read), *names)

    print(f"{'':30}{'T5':>10}{'unigram':>10}")
    print(f"{'nats a token that was cut out':30}{reached:10.3f}{baseline:10.3f}")
    print(f"{'perplexity':30}{math.exp(reached):10.0f}{math.exp(baseline):10.0f}")
    print(f"{'tokens right':30}{right:10.1%}{most_common:10.1%}")
    print(f"{'first tokens of spans right':30}{first_right:10.1%}")
    per_second = steps * batch_size * (inputs_length + targets_length) / seconds
    print(f"{steps} steps in {seconds:.0f} s, {per_second:,.0f} tokens a second, both sides counted")
    for text, found in filled:
        for i, span in enumerate(found):
            text = text.replace(f"<extra_id_{i}>", f"[{span.strip()}]")
        print(f"    {text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solution", type=Path, default=Path(__file__).with_name("t5.py"))
    parser.add_argument("--out", type=Path, default=Path("t5-experiment"))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="train for this many steps")
    parser.add_argument("--quick", action="store_true", help="a small model on less text")
    options = parser.parse_args()
    try:
        run(options)
    except NotImplementedError as error:
        where, trace = "a function", error.__traceback__
        while trace is not None:
            where, trace = trace.tb_frame.f_code.co_name, trace.tb_next
        sys.exit(f"{where} in {options.solution} is not written yet: autograder check t5")


if __name__ == "__main__":
    main()
