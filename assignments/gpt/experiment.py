"""Train your GPT on this Python's own texts, measure it against an n-gram of bytes, and let it write.

    python experiment.py --quick        some seconds
    python experiment.py                under five minutes on two cores

Uses the gpt.py beside this file, and saves three pictures and a text: loss.png (training, and bits per byte of text
that was held out), temperature.png (one next token at several temperatures), decoding.png (what a cache saves), and
samples.txt (what the model writes).
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from autograder.given import corpus
from autograder.given.experiment import BLUE, GREY, ORANGE, RED, Options, Rows, main, progress, save, say
from autograder.given.tokenizer import Tokenizer

TEMPERATURES = (0.0, 0.5, 0.8, 1.0, 1.5)
PROMPT = "Return a list of"
NUCLEUS = 0.9


# --- text -------------------------------------------------------------------------------------------------------------


def texts(quick: bool) -> tuple[list[str], list[str]]:
    """Training and held-out texts: every twentieth text is held out. Runs of spaces become one: indentation is dull."""
    found = corpus.topics()[:30] if quick else corpus.topics() + [doc for doc in corpus.docstrings() if len(doc) > 200]
    found = [re.sub(" +", " ", text) for text in found]
    return [text for i, text in enumerate(found) if i % 20], found[::20]


def as_stream(tokenizer: Tokenizer, found: list[str]) -> Tensor:
    """All texts in one stream of ids, each behind an eos_id."""
    return torch.tensor([i for text in found for i in (tokenizer.eos_id, *tokenizer.encode(text))])


def as_bytes(found: list[str]) -> bytes:
    """The same for the n-gram: a zero byte stands for the eos_id."""
    return b"".join(b"\0" + text.encode() for text in found)


def ngram_bits_per_byte(train: bytes, held_out: bytes, order: int = 2) -> float:
    """Bits per byte under an n-gram that sees `order` bytes back and mixes in all shorter contexts.

    p(byte | context) = (count + kinds p(byte | shorter context)) / (total + kinds), where `kinds` is the number of
    different bytes that followed the context in training (Witten and Bell 1991, method C).
    """
    counts: list[dict[bytes, Counter[int]]] = []
    for n in range(order + 1):
        after: dict[bytes, Counter[int]] = defaultdict(Counter)
        pairs = Counter(zip(*(train[i:] for i in range(n + 1)), strict=False))
        for (*context, byte), count in pairs.items():
            after[bytes(context)][byte] = count
        counts.append(dict(after))
    totals = [{context: sum(seen.values()) for context, seen in after.items()} for after in counts]
    bits = 0.0
    for i, byte in enumerate(held_out):
        p = 1 / 256
        for n in range(min(i, order) + 1):
            context = held_out[i - n : i]
            if context in counts[n]:
                seen = counts[n][context]
                p = (seen[byte] + len(seen) * p) / (totals[n][context] + len(seen))
        bits -= math.log2(p)
    return bits / len(held_out)


# --- the model --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def held_out_nats(gpt: ModuleType, model, ids: Tensor) -> float:
    """The sum of -ln p of every token of a stream but the first, in windows of the model's context."""
    mode = model.training
    model.eval()
    total, t = 0.0, model.config.context_length
    x, y = gpt.chunk_tokens(ids, t)
    for some_x, some_y in zip(x.split(16), y.split(16), strict=True):
        total += float(gpt.lm_loss(model(some_x), some_y)) * some_y.numel()
    rest = ids[len(x) * t :]
    if len(rest) > 1:
        total += float(gpt.lm_loss(model(rest[None, :-1]), rest[None, 1:])) * (len(rest) - 1)
    model.train(mode)
    return total


def learn(gpt: ModuleType, model, data: Tensor, held_out: Tensor, n_bytes: int, plan, options: Options):
    """Train in pieces, each from the checkpoint of the one before: losses, and bits per byte after each piece.

    Also the seconds that training itself took.
    """
    pieces = 2 if options.quick else 12
    source = torch.Generator(device=options.device).manual_seed(options.seed)
    losses: list[float] = []
    bits: dict[int, float] = {0: gpt.bits_per_byte(held_out_nats(gpt, model, held_out), n_bytes)}
    checkpoint, seconds = None, 0.0
    for until in progress([plan.steps * piece // pieces for piece in range(1, pieces + 1)], "training to step"):
        started = time.perf_counter()
        more, checkpoint = gpt.train(model, data, plan, generator=source, checkpoint=checkpoint, until=until)
        losses += more.tolist()
        seconds += time.perf_counter() - started
        bits[until] = gpt.bits_per_byte(held_out_nats(gpt, model, held_out), n_bytes)
        say(f"  loss {losses[-1]:.3f} nats a token; held out {bits[until]:.3f} bits a byte")
    return losses, bits, seconds


def begin(model, tokenizer: Tokenizer) -> Tensor:
    return torch.tensor([[tokenizer.eos_id, *tokenizer.encode(PROMPT)]], device=model.token.weight.device)


def write(gpt: ModuleType, model, tokenizer: Tokenizer, n: int, seed: int) -> dict[str, str]:
    """What follows the prompt at each temperature, and with top-p."""
    prompt = begin(model, tokenizer)
    ways = {f"temperature {t:g}": {"temperature": t} for t in TEMPERATURES}
    ways[f"temperature 1, top-p {NUCLEUS:g}"] = {"temperature": 1.0, "top_p": NUCLEUS}
    found = {}
    for name, sampling in ways.items():
        source = torch.Generator(device=prompt.device).manual_seed(seed)
        ids = gpt.generate(model, prompt, n, eos_id=tokenizer.eos_id, generator=source, **sampling)
        found[name] = tokenizer.decode(ids[0, 1:].tolist())
    return found


def decoding_seconds(gpt: ModuleType, model, options: Options) -> dict[bool, dict[int, float]]:
    """Seconds that greedy texts of growing lengths take, with the cache (True) and without: the best of two."""
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    context = model.config.context_length
    prompt = torch.zeros(1, 1, dtype=torch.int64, device=options.device)
    found: dict[bool, dict[int, float]] = {True: {}, False: {}}
    for n in progress([context // 8, context // 4, context // 2, context - 1], "decoding, tokens"):
        for use_cache, by_length in found.items():
            times = []
            for _ in range(2):
                started = clock()
                gpt.generate(model, prompt, n, temperature=0.0, use_cache=use_cache)[0, -1].item()  # waits for a GPU
                times.append(clock() - started)
            by_length[n] = min(times)
    return found


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_loss(path: Path, losses: list[float], bits: dict[int, float], ngram: float, vocab_size: int) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    width = max(len(losses) // 40, 1)
    smooth = [
        sum(losses[max(i - width, 0) : i + 1]) / len(losses[max(i - width, 0) : i + 1]) for i in range(len(losses))
    ]
    steps = range(1, len(losses) + 1)
    left.plot(steps, losses, color=BLUE, alpha=0.3, linewidth=0.8)
    left.plot(steps, smooth, color=BLUE)
    left.axhline(math.log(vocab_size), color=GREY, linestyle="--", linewidth=1.2)
    left.text(len(losses), 1.01 * math.log(vocab_size), f"a guess: ln {vocab_size:,}", ha="right", color=GREY)
    left.set(xlabel="step", ylabel="loss in nats a token", title="Training", ylim=(0, 1.12 * math.log(vocab_size)))
    right.plot(list(bits), list(bits.values()), marker="o", color=BLUE)
    right.annotate(f"your GPT: {list(bits.values())[-1]:.2f}", (list(bits)[-1], list(bits.values())[-1]), (0, -16),
                   textcoords="offset points", ha="right", color=BLUE)  # fmt: skip
    right.axhline(ngram, color=RED, linestyle="--", linewidth=1.2)
    right.text(len(losses), ngram + 0.06, f"order-2 n-gram of bytes: {ngram:.2f}", ha="right", color=RED)
    right.set(xlabel="step", ylabel="bits a byte", title="Text that was held out", ylim=(0, None))
    for axis in (left, right):
        axis.grid(axis="y")
    save(figure, path)


@torch.no_grad()
def plot_temperature(path: Path, gpt: ModuleType, model, tokenizer: Tokenizer, top: int = 18) -> None:
    prompt = begin(model, tokenizer)
    logits = model(prompt)[:, -1].float().cpu()
    order = logits[0].argsort(descending=True)[:top]
    texts = [tokenizer.decode([*prompt[0].tolist(), i])[len(PROMPT) :] for i in order.tolist()]
    names = [repr(text).replace("$", r"\$") for text in texts]
    figure, axes = plt.subplots(1, len(TEMPERATURES), figsize=(13, 4.4), sharey=True)
    for axis, t in zip(axes, TEMPERATURES, strict=True):
        tempered = gpt.apply_temperature(logits, t)
        kept = gpt.top_p_filter(tempered, NUCLEUS)[0] > -math.inf
        axis.barh(range(top), tempered.softmax(-1)[0][order], color=[BLUE if kept[i] else "#d5dae0" for i in order])
        axis.set(title=f"temperature {t:g}", xlim=(0, 1.02), xlabel=f"{int(kept.sum())} in the nucleus")
    axes[0].set_yticks(range(top), names, fontsize=8)
    axes[0].invert_yaxis()
    figure.suptitle(f'Probabilities of the token after "{PROMPT}"; blue: the nucleus of top-p {NUCLEUS:g}', fontsize=11)
    save(figure, path)


def plot_decoding(path: Path, found: dict[bool, dict[int, float]]) -> None:
    figure, axis = plt.subplots(figsize=(6, 4.2))
    for use_cache, name, colour in ((True, "with the cache", BLUE), (False, "without", ORANGE)):
        rates = [n / s for n, s in found[use_cache].items()]
        axis.plot(list(found[use_cache]), rates, marker="o", color=colour, label=name)
    axis.set(xlabel="tokens written", ylabel="tokens per second", title="Decoding, one text", ylim=(0, None))
    axis.set_xticks(list(found[True]))
    axis.grid(axis="y")
    axis.legend()
    save(figure, path)


# --- all of it --------------------------------------------------------------------------------------------------------


def run(gpt: ModuleType, options: Options) -> Rows:
    if options.quick:
        torch.set_num_threads(1)  # the tensors are small, and on a busy machine two threads wait for each other
    say("reading texts")
    training, held_out = texts(options.quick)
    n_bytes = len(as_bytes(held_out))
    say(f"training a tokenizer on {len(as_bytes(training)) / 1e6:.2f} MB, and counting bytes for the n-gram")
    tokenizer = Tokenizer.train(training, 512 if options.quick else 1024)
    data, check = as_stream(tokenizer, training).to(options.device), as_stream(tokenizer, held_out).to(options.device)
    ngram = ngram_bits_per_byte(as_bytes(training), as_bytes(held_out))

    torch.manual_seed(options.seed)
    rates = {"learning_rate": 2e-3, "min_learning_rate": 2e-4}
    if options.quick:
        shape = gpt.GPTConfig(tokenizer.vocab_size, 64, 64, 4, 2)
        plan = gpt.TrainConfig(steps=60, batch_size=16, warmup_steps=5, **rates)
    else:
        shape = gpt.GPTConfig(tokenizer.vocab_size, 128, 192, 6, 4)
        plan = gpt.TrainConfig(steps=480, batch_size=16, warmup_steps=40, **rates)
    model = gpt.GPT(shape, generator=torch.Generator().manual_seed(options.seed)).to(options.device)
    size = sum(p.numel() for p in model.parameters())
    say(f"{size / 1e6:.2f}M parameters, {len(data):,} tokens of {n_bytes / len(check):.2f} bytes")
    losses, bits, seconds = learn(gpt, model, data, check, n_bytes, plan, options)
    plot_loss(options.out / "loss.png", losses, bits, ngram, tokenizer.vocab_size)

    written = write(gpt, model, tokenizer, 40 if options.quick else 120, options.seed)
    path = options.out / "samples.txt"
    path.write_text("".join(f"--- {name}\n{text}\n\n" for name, text in written.items()), encoding="utf-8")
    say(f"saved {path}")
    for name in ("temperature 0", "temperature 0.8"):
        say(f"--- {name}\n{written[name][:300]}")
    plot_temperature(options.out / "temperature.png", gpt, model, tokenizer)
    took = decoding_seconds(gpt, model, options)
    plot_decoding(options.out / "decoding.png", took)

    longest = max(took[True])
    speed = plan.steps * plan.batch_size * shape.context_length / seconds
    return [
        ("what", "figure"),
        ("parameters", f"{size:,}"),
        ("training, tokens per second", f"{speed:,.0f}"),
        ("held out, bits a byte: a guess among 256", "8.000"),
        ("held out, bits a byte: order-2 n-gram of bytes", f"{ngram:.3f}"),
        ("held out, bits a byte: your GPT", f"{bits[plan.steps]:.3f}"),
        (f"decoding {longest} tokens: with the cache / without", f"{took[False][longest] / took[True][longest]:.1f} x"),
    ]


if __name__ == "__main__":
    main("gpt", run, __doc__)
