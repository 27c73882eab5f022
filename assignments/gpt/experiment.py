"""Train your GPT on this Python's own texts, measure it against an n-gram of bytes, and let it write.

    python experiment.py --quick        some seconds: does it work?
    python experiment.py                about five minutes on two cores

Uses the `gpt.py` beside this file (`--solution FILE` for another), and writes pictures and samples to `--out DIR`.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import re
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

from autograder.given import corpus
from autograder.given.tokenizer import Tokenizer

TEMPERATURES = (0.0, 0.5, 0.8, 1.0, 1.5)
PROMPT = "Return a list of"


def load(path: Path) -> ModuleType:
    """The student's file as a module."""
    spec = importlib.util.spec_from_file_location("gpt", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpt"] = module
    spec.loader.exec_module(module)
    return module


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- text -------------------------------------------------------------------------------------------------------------


def texts(quick: bool) -> tuple[list[str], list[str]]:
    """Training and held-out texts: every twentieth text is held out. Runs of spaces become one: indentation is dull."""
    found = corpus.topics()[:30] if quick else corpus.topics() + [doc for doc in corpus.docstrings() if len(doc) > 200]
    found = [re.sub(" +", " ", text) for text in found]
    return [text for i, text in enumerate(found) if i % 20], found[::20]


def as_stream(tokenizer: Tokenizer, found: list[str]) -> torch.Tensor:
    """All texts in one stream of ids, each behind an eos_id."""
    return torch.tensor([i for text in found for i in (tokenizer.eos_id, *tokenizer.encode(text))])


def as_bytes(found: list[str]) -> bytes:
    """The same for the n-gram: a zero byte stands for the eos_id."""
    return b"".join(b"\0" + text.encode() for text in found)


def ngram_bits_per_byte(train: bytes, held_out: bytes, order: int = 2) -> float:
    """Bits per byte of an n-gram of bytes that mixes all shorter contexts (Witten and Bell 1991)."""
    counts: list[dict[bytes, Counter[int]]] = []
    for n in range(order + 1):
        table: dict[bytes, Counter[int]] = {}
        for i in range(n, len(train)):
            table.setdefault(train[i - n : i], Counter())[train[i]] += 1
        counts.append(table)
    totals = [{context: sum(c.values()) for context, c in table.items()} for table in counts]
    nats = 0.0
    for i, byte in enumerate(held_out):
        p = 1 / 256
        for n in range(min(i, order) + 1):
            context = held_out[i - n : i]
            if context in counts[n]:
                seen, total = counts[n][context], totals[n][context]
                p = (seen[byte] + len(seen) * p) / (total + len(seen))
        nats -= math.log(p)
    return nats / math.log(2) / len(held_out)


# --- the model --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def held_out_nats(gpt: ModuleType, model: torch.nn.Module, ids: torch.Tensor) -> float:
    """The sum of -ln p of every token of a stream but the first, in windows of the model's context."""
    model.eval()
    total, t = 0.0, model.config.context_length
    x, y = gpt.chunk_tokens(ids, t)
    for some_x, some_y in zip(x.split(16), y.split(16), strict=True):
        total += float(gpt.lm_loss(model(some_x), some_y)) * some_y.numel()
    rest = ids[len(x) * t :]
    if len(rest) > 1:
        total += float(gpt.lm_loss(model(rest[None, :-1]), rest[None, 1:])) * (len(rest) - 1)
    return total


def train(gpt, model, data, held_out, n_bytes, config, generator, pieces):
    """Train in pieces, each from the checkpoint of the one before; (losses, steps, bits per byte at those steps)."""
    losses, steps, bits, checkpoint, started = [], [], [], None, time.monotonic()
    for piece in range(1, pieces + 1):
        until = config.steps * piece // pieces
        more, checkpoint = gpt.train(model, data, config, generator=generator, checkpoint=checkpoint, until=until)
        losses += more.tolist()
        steps.append(until)
        bits.append(gpt.bits_per_byte(held_out_nats(gpt, model, held_out), n_bytes))
        took = time.monotonic() - started
        left = took / until * (config.steps - until)
        reached = f"loss {losses[-1]:.3f} nats a token, held out {bits[-1]:.3f} bits a byte"
        say(f"step {until:4} of {config.steps}: {reached}, {left:.0f} s left")
    return losses, steps, bits


def write(gpt, model, tokenizer, n, seed):
    """(description, text) at each temperature, all from one prompt."""
    prompt = torch.tensor([[tokenizer.eos_id, *tokenizer.encode(PROMPT)]], device=model.token.weight.device)
    ways = [(f"temperature {t:g}", {"temperature": t}) for t in TEMPERATURES]
    ways.append(("temperature 1, top-p 0.9", {"temperature": 1.0, "top_p": 0.9}))
    found = []
    for name, options in ways:
        source = torch.Generator(device=prompt.device).manual_seed(seed)
        ids = gpt.generate(model, prompt, n, eos_id=tokenizer.eos_id, generator=source, **options)
        found.append((name, tokenizer.decode(ids[0, 1:].tolist())))
    return found


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_loss(path, losses, steps, bits, baseline):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    left.plot(range(1, len(losses) + 1), losses, linewidth=0.8)
    left.set(xlabel="step", ylabel="loss in nats a token", title="Training")
    right.plot(steps, bits, marker="o", label="GPT")
    right.axhline(baseline, color="gray", linestyle="--", label="order-2 n-gram of bytes")
    right.set(xlabel="step", ylabel="bits a byte", title="Held-out text")
    right.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


@torch.no_grad()
def plot_temperature(path, gpt, model, tokenizer, p=0.9, top=20):
    prompt = torch.tensor([[tokenizer.eos_id, *tokenizer.encode(PROMPT)]], device=model.token.weight.device)
    logits = model(prompt)[0, -1].float().cpu()
    order = logits.argsort(descending=True)[:top]
    figure, axes = plt.subplots(1, len(TEMPERATURES), figsize=(15, 3.6), sharey=True)
    for axis, t in zip(axes, TEMPERATURES, strict=True):
        tempered = gpt.apply_temperature(logits[None], t)
        kept = gpt.top_p_filter(tempered, p)[0][order] > -math.inf
        colors = ["tab:blue" if k else "lightgray" for k in kept.tolist()]
        axis.barh(range(top), tempered.softmax(-1)[0][order].tolist(), color=colors)
        axis.set(title=f"temperature {t:g}", xlim=(0, 1))
    axes[0].set_yticks(
        range(top), [repr(tokenizer.decode([i])).replace("$", r"\$") for i in order.tolist()], fontsize=7
    )
    axes[0].invert_yaxis()
    figure.suptitle(f'The token after "{PROMPT}"; blue: the nucleus of top-p {p}')
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def decoding_speed(gpt, model, lengths):
    """Tokens per second of greedy texts of these lengths, with the cache and without."""
    prompt = torch.zeros(1, 1, dtype=torch.int64, device=model.token.weight.device)
    found = {}
    for use_cache in (True, False):
        rates = []
        for n in lengths:
            started = time.perf_counter()
            gpt.generate(model, prompt, n, temperature=0.0, use_cache=use_cache)[0, -1].item()
            rates.append(n / (time.perf_counter() - started))
        found[use_cache] = rates
    return found


def plot_decoding(path, lengths, rates):
    figure, axis = plt.subplots(figsize=(5.5, 4))
    axis.plot(lengths, rates[True], marker="o", label="with the cache")
    axis.plot(lengths, rates[False], marker="o", label="without")
    axis.set(xlabel="tokens written", ylabel="tokens per second", title="Decoding", ylim=(0, None))
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


# --- all of it --------------------------------------------------------------------------------------------------------


def run(gpt: ModuleType, options: argparse.Namespace) -> None:
    quick, device = options.quick, torch.device(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    say("reading texts")
    training, held_out = texts(quick)
    n_bytes = len(as_bytes(held_out))
    say(f"training a tokenizer on {len(as_bytes(training)) / 1e6:.2f} MB")
    tokenizer = Tokenizer.train(training, 512 if quick else 1024)
    data, check = as_stream(tokenizer, training).to(device), as_stream(tokenizer, held_out).to(device)
    say("counting bytes for the n-gram")
    baseline = ngram_bits_per_byte(as_bytes(training), as_bytes(held_out))

    torch.manual_seed(options.seed)
    if quick:
        shape = gpt.GPTConfig(tokenizer.vocab_size, 64, 64, 4, 2)
        config = gpt.TrainConfig(steps=40, batch_size=16, learning_rate=2e-3, min_learning_rate=2e-4, warmup_steps=5)
    else:
        shape = gpt.GPTConfig(tokenizer.vocab_size, 128, 192, 6, 4)
        config = gpt.TrainConfig(steps=600, batch_size=16, learning_rate=2e-3, min_learning_rate=2e-4, warmup_steps=40)
    model = gpt.GPT(shape, generator=torch.Generator().manual_seed(options.seed)).to(device)
    size = sum(p.numel() for p in model.parameters())
    say(f"training {size / 1e6:.2f}M parameters on {len(data):,} tokens ({n_bytes / len(check):.2f} bytes each)")
    source = torch.Generator(device=device).manual_seed(options.seed)
    started = time.monotonic()
    losses, steps, bits = train(gpt, model, data, check, n_bytes, config, source, 2 if quick else 12)
    seconds = time.monotonic() - started
    plot_loss(options.out / "loss.png", losses, steps, bits, baseline)

    say("writing")
    found = write(gpt, model, tokenizer, 40 if quick else 120, options.seed)
    (options.out / "samples.txt").write_text(
        "".join(f"--- {name}\n{text}\n\n" for name, text in found), encoding="utf-8"
    )
    plot_temperature(options.out / "temperature.png", gpt, model, tokenizer)
    context = shape.context_length
    lengths = [context // 8, context // 4, context // 2, context - 1]
    rates = decoding_speed(gpt, model, lengths)
    plot_decoding(options.out / "decoding.png", lengths, rates)

    for name, text in found:
        print(f"--- {name}\n{text[:300]}\n")
    speed = config.steps * config.batch_size * context / seconds
    rows = [
        ("parameters", f"{size:,}"),
        ("training", f"{seconds:.0f} s, {speed:,.0f} tokens/s with evaluation"),
        ("held out: uniform bytes", "8.000 bits/byte"),
        ("held out: order-2 n-gram of bytes", f"{baseline:.3f} bits/byte"),
        ("held out: your GPT", f"{bits[-1]:.3f} bits/byte"),
        ("decoding with / without the cache", f"{rates[True][-1]:.0f} / {rates[False][-1]:.0f} tokens/s"),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    print(f"pictures and samples are in {options.out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solution", type=Path, default=Path(__file__).with_name("gpt.py"))
    parser.add_argument("--out", type=Path, default=Path("gpt-experiment"))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    try:
        run(load(options.solution), options)
    except NotImplementedError as error:
        step = error.__traceback__
        while step.tb_next is not None:
            step = step.tb_next
        sys.exit(f"{step.tb_frame.f_code.co_name} in {options.solution.name} is not written yet.")


if __name__ == "__main__":
    main()
