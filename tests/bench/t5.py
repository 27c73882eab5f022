"""The T5 reference: corruption and infilling against loops over tokens, a training step against HF's T5.

    python tests/bench/t5.py [--quick] [--json]

One thread. Times are the CPU time of this process, the best of some runs that take turns, so that a busy machine
changes the ratios little. A ratio above 1 says how many times faster the reference is.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from autograder.course import open_course
from autograder.given.experiment import load, say, table

t5: Any = load("t5", open_course().assignment("t5").solution)

V = 32_100  # of T5's own vocabulary, whose last hundred ids are the sentinels
SENTINELS = list(range(V - 1, V - 101, -1))
EOS, MASK = 1, 3
Tokens = list[int]


def best(works: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """The best CPU time of one call of each, in seconds, taken in turns after one to warm up."""
    seconds = dict.fromkeys(works, float("inf"))
    for turn in range(runs + 1):
        for name, work in works.items():
            started = time.process_time()
            work()
            if turn:
                seconds[name] = min(seconds[name], time.process_time() - started)
    return seconds


def rows_of(what: str, seconds: dict[str, float], goals: dict[str, float]) -> Iterator[dict[str, Any]]:
    """One row for each way but the first, which is the reference."""
    (_, ours), *others = seconds.items()
    for name, theirs in others:
        ratio, goal = theirs / ours, goals.get(name)
        met = None if goal is None else ratio >= goal
        yield {"what": what, "against": name, "ours": ours, "theirs": theirs, "ratio": ratio, "goal": goal, "met": met}


# --- one token after the other ----------------------------------------------------------------------------------------


def loop_segments(n: int, k: int, rng: random.Random) -> Tokens:
    cuts = sorted(rng.sample(range(1, n), k - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, n], strict=True)]


def loop_mask(length: int, rng: random.Random) -> list[bool]:
    n, s = t5.noise_counts(length)
    mask: list[bool] = []
    for kept, noise in zip(loop_segments(length - n, s, rng), loop_segments(n, s, rng), strict=True):
        mask += [False] * kept + [True] * noise
    return mask


def loop_corrupt(tokens: Tokens, mask: list[bool]) -> tuple[Tokens, Tokens]:
    inputs: Tokens = []
    targets: Tokens = []
    number, before = 0, False
    for token, noise in zip(tokens, mask, strict=True):
        if noise:
            if not before:
                inputs.append(SENTINELS[number])
                targets.append(SENTINELS[number])
                number += 1
            targets.append(token)
        else:
            inputs.append(token)
        before = noise
    return [*inputs, EOS], [*targets, EOS]


def poisson(mean: float, rng: random.Random) -> int:
    """By multiplying uniform numbers until the product falls below exp(-mean) (Knuth)."""
    k, p, limit = 0, rng.random(), math.exp(-mean)
    while p > limit:
        k, p = k + 1, p * rng.random()
    return k


def loop_infill(tokens: Tokens, rng: random.Random) -> Tokens:
    left = budget = math.ceil(0.3 * len(tokens))
    lengths: Tokens = []
    while left:
        lengths.append(min(poisson(3.0, rng), left))
        left -= lengths[-1]
    items: list[int | None] = [None] * (len(tokens) - budget) + lengths
    rng.shuffle(items)
    out: Tokens = []
    place = 0
    for item in items:
        out.append(tokens[place] if item is None else MASK)
        place += 1 if item is None else item
    return out


# --- measurements -----------------------------------------------------------------------------------------------------


def corruption(n_rows: int, length: int, runs: int) -> Iterator[dict[str, Any]]:
    tokens = torch.randint(5, SENTINELS[-1], (n_rows, length), generator=torch.Generator().manual_seed(0))
    as_lists, rng, generator = tokens.tolist(), random.Random(0), torch.Generator().manual_seed(0)

    def at_once() -> None:
        masks = t5.random_spans_noise_mask(length, generator=generator, batch_size=n_rows)
        t5.span_corrupt(tokens, masks, SENTINELS, eos_id=EOS)

    def row_by_row() -> None:
        for row in tokens:
            t5.span_corrupt(row, t5.random_spans_noise_mask(length, generator=generator), SENTINELS, eos_id=EOS)

    def loop() -> None:
        pairs = [loop_corrupt(row, loop_mask(length, rng)) for row in as_lists]
        for side in zip(*pairs, strict=True):
            torch.tensor(side)

    def loop_of_masks() -> None:
        torch.tensor([loop_mask(length, rng) for _ in range(n_rows)])

    works: dict[str, Callable[[], object]] = {
        "at once": at_once,
        "its rows one by one": row_by_row,
        "per-token loop": loop,
    }
    yield from rows_of(f"mask and corrupt {n_rows:,} x {length}", best(works, runs), {"per-token loop": 2.0})
    works = {
        "at once": lambda: t5.random_spans_noise_mask(length, generator=generator, batch_size=n_rows),
        "per-token loop": loop_of_masks,
    }
    yield from rows_of(f"masks alone, {n_rows:,} x {length}", best(works, runs), {"per-token loop": 2.0})


def infilling(length: int, runs: int) -> Iterator[dict[str, Any]]:
    tokens = torch.arange(5, 5 + length)
    as_list, rng, generator = tokens.tolist(), random.Random(0), torch.Generator().manual_seed(0)
    works: dict[str, Callable[[], object]] = {
        "vectorised": lambda: t5.text_infilling(tokens, mask_id=MASK, generator=generator),
        "per-token loop": lambda: torch.tensor(loop_infill(as_list, rng)),
    }
    yield from rows_of(f"text infilling of {length:,} tokens", best(works, runs), {"per-token loop": 2.0})


def models(batch: int, s: int, t: int, d_model: int, runs: int) -> Iterator[dict[str, Any]]:
    """A forward and backward pass of models of the same size."""
    import transformers

    config = transformers.T5Config(
        vocab_size=2048, d_model=d_model, d_kv=d_model // 4, d_ff=4 * d_model, num_layers=2, num_heads=4,
        dropout_rate=0.0, decoder_start_token_id=0,
    )  # fmt: skip
    theirs = transformers.T5ForConditionalGeneration(config)
    ours = t5.Seq2Seq(t5.T5Config(2048, d_model=d_model, n_heads=4, n_layers=2, d_ff=4 * d_model))
    source = torch.Generator().manual_seed(0)
    src, labels = (torch.randint(2, 2048, (batch, n), generator=source) for n in (s, t))
    everything = torch.ones_like(src, dtype=torch.bool)

    def step() -> None:
        read = t5.shift_right(labels, start_id=0, pad_id=0)
        t5.seq2seq_loss(ours(src, everything, read), labels).backward()

    def step_of_hf() -> None:
        theirs(input_ids=src, attention_mask=everything.long(), labels=labels).loss.backward()

    works: dict[str, Callable[[], object]] = {"reference": step, "HF T5": step_of_hf}
    size = f"{batch} x ({s} + {t}), d_model {d_model}"
    yield from rows_of(f"forward and backward, {size}", best(works, runs), {"HF T5": 0.9})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes; figures mean little")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    rows: list[dict[str, Any]] = []
    say("span corruption")
    rows += corruption(*((64, 128, 1) if options.quick else (2000, 512, 3)))
    say("text infilling")
    rows += infilling(*((512, 1) if options.quick else (100_000, 3)))
    say("models")
    rows += models(*((4, 32, 16, 32, 1) if options.quick else (32, 64, 14, 128, 5)))
    for row in rows if options.quick else []:
        row["met"] = None  # the goals are for full sizes
    seconds = time.monotonic() - started
    load_now = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if options.json:
        print(json.dumps({"quick": options.quick, "load": load_now, "seconds": seconds, "rows": rows}, indent=1))
        return
    met = {True: "met", False: "MISSED", None: ""}
    cells = [("", "against", "reference", "other", "ratio", "goal", "")]
    for r in rows:
        goal = "" if r["goal"] is None else f">= {r['goal']:g} x"
        times = (f"{1e3 * r['ours']:.1f} ms", f"{1e3 * r['theirs']:.1f} ms", f"{r['ratio']:.1f} x")
        cells.append((r["what"], r["against"], *times, goal, met[r["met"]]))
    print(table(cells))
    busy = f", load {load_now:.1f}" if load_now is not None else ""
    print(f"{seconds:.0f} s on {os.cpu_count()} cores{busy}")


if __name__ == "__main__":
    main()
