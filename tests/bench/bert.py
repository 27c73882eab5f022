"""The BERT reference against a loop over tokens, Hugging Face's collator and Hugging Face's model, all on one thread.

    python tests/bench/bert.py [--quick] [--json]

Times are the CPU time of this process, the best of some runs that take turns, so that a busy machine changes the ratios
little. A ratio above 1 says that the reference is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.course import open_course
from autograder.given.experiment import load, say, table

bert: Any = load("bert", open_course().assignment("bert").solution)
MASK, VOCAB = 3, 30_522  # the vocabulary of BERT-base


def cpu_seconds(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """The best CPU time of one call of each, taken in turns after one to warm up."""
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(runs + 1):
        for name, call in calls.items():
            started = time.process_time()
            call()
            if turn:
                best[name] = min(best[name], time.process_time() - started)
    return best


def row(what: str, seconds: dict[str, float], other: str, goal: float | None) -> dict[str, Any]:
    ratio = seconds[other] / seconds["reference"]
    met = None if goal is None else ratio >= goal
    return {"what": what, "against": other, "seconds": seconds, "ratio": ratio, "goal": goal, "met": met}


# --- masking ----------------------------------------------------------------------------------------------------------


def loop(ids: list[list[int]], special: list[list[bool]], rng: random.Random) -> tuple[Tensor, Tensor]:
    """One token after the other, in Python."""
    inputs, labels = [], []
    for row, marks in zip(ids, special, strict=True):
        new, wanted = [], []
        for token, mark in zip(row, marks, strict=True):
            if mark or rng.random() >= 0.15:
                new.append(token)
                wanted.append(-100)
                continue
            u = rng.random()
            new.append(MASK if u < 0.8 else rng.randrange(VOCAB) if u < 0.9 else token)
            wanted.append(token)
        inputs.append(new)
        labels.append(wanted)
    return torch.tensor(inputs), torch.tensor(labels)


class _Tokenizer:
    """What Hugging Face's collator asks of a tokenizer."""

    mask_token, pad_token, pad_token_id = "[MASK]", "[PAD]", 0

    def __len__(self) -> int:
        return VOCAB

    def convert_tokens_to_ids(self, token: str) -> int:
        return MASK


def masking(rows: int, length: int, runs: int) -> Iterator[dict[str, Any]]:
    import transformers

    say(f"masking {rows} x {length}")
    ids = torch.randint(5, VOCAB, (rows, length), generator=torch.Generator().manual_seed(0))
    special = torch.zeros_like(ids, dtype=torch.bool)
    special[:, [0, -1]] = True
    generator, rng = torch.Generator().manual_seed(0), random.Random(0)
    options = {"mask_id": MASK, "vocab_size": VOCAB, "special_mask": special, "generator": generator}
    collator = transformers.DataCollatorForLanguageModeling(tokenizer=_Tokenizer(), seed=0)
    collator.create_rng()
    as_lists, marks = ids.tolist(), special.tolist()
    calls: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
        "reference": lambda: bert.mask_tokens(ids, **options),
        "a loop over tokens": lambda: loop(as_lists, marks, rng),
        "HF's collator": lambda: collator.torch_mask_tokens(ids.clone(), special_tokens_mask=special),
    }
    for name, call in calls.items():
        inputs, labels = call()
        assert torch.equal(torch.where(labels == -100, inputs, labels), ids), f"{name} has lost a token"
    seconds = cpu_seconds(calls, runs)
    yield row(f"masking {rows} x {length}", seconds, "a loop over tokens", 5.0)
    yield row(f"masking {rows} x {length}", seconds, "HF's collator", 1.0)


# --- a step of training -----------------------------------------------------------------------------------------------


def model_step(quick: bool) -> Iterator[dict[str, Any]]:
    """Forward and backward of both heads, at the size of the experiment."""
    import transformers

    rows, length, layers, d_model = (2, 16, 1, 32) if quick else (32, 64, 3, 128)
    say(f"forward and backward, {layers} layers of {d_model}")
    ids = torch.randint(5, 2000, (rows, length), generator=torch.Generator().manual_seed(0))
    labels = ids.masked_fill(torch.rand(ids.shape, generator=torch.Generator().manual_seed(1)) > 0.15, -100)
    order = torch.zeros(rows, dtype=torch.int64)
    real = torch.arange(length) < torch.linspace(length // 2, length, rows)[:, None]  # padded, as batches are
    ours = bert.BertForPreTraining(bert.BertConfig(2000, length, d_model, 4, layers, 4 * d_model, dropout=0.0))
    theirs = transformers.BertForPreTraining(
        transformers.BertConfig(
            vocab_size=2000, max_position_embeddings=length, hidden_size=d_model, num_hidden_layers=layers,
            num_attention_heads=4, intermediate_size=4 * d_model, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip
    counts = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert counts[0] == counts[1], "the two models differ in size"

    def reference() -> None:
        words, pair = ours(ids, None, real)
        (bert.mlm_loss(words, labels) + F.cross_entropy(pair, order)).backward()
        ours.zero_grad()

    def hugging_face() -> None:
        theirs(ids, real.long(), labels=labels, next_sentence_label=order).loss.backward()
        theirs.zero_grad()

    seconds = cpu_seconds({"reference": reference, "HF's BERT": hugging_face}, 1 if quick else 7)
    what = f"forward and backward, {rows} x {length}, {layers} layers of {d_model}"
    yield row(what, seconds, "HF's BERT", 0.9) | {"tokens_per_second": rows * length / seconds["reference"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, one run each; figures mean little")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    sizes = [(8, 32, 1)] if options.quick else [(32, 128, 20), (256, 512, 5)]
    rows = [r for size in sizes for r in masking(*size)] + list(model_step(options.quick))
    for r in rows if options.quick else []:
        r["met"] = None  # the goals are for full sizes
    load_now = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    summary = {"quick": options.quick, "load": load_now, "seconds": time.monotonic() - started, "rows": rows}
    if options.json:
        print(json.dumps(summary, indent=1))
        return
    met = {True: "met", False: "MISSED", None: ""}
    cells = [("", "against", "reference", "other", "ratio", "goal", "")]
    for r in rows:
        ours, other = r["seconds"]["reference"], r["seconds"][r["against"]]
        times = (f"{1e3 * ours:.2f} ms", f"{1e3 * other:.2f} ms", f"{r['ratio']:.3g} x", f">= {r['goal']:g} x")
        cells.append((r["what"], r["against"], *times, met[r["met"]]))
    print(table(cells))
    print(f"{rows[-1]['tokens_per_second']:,.0f} tokens a second in a step of training, but for the optimiser")
    busy = f", load {load_now:.1f}" if load_now is not None else ""
    print(f"{summary['seconds']:.0f} s on {os.cpu_count()} cores{busy}")


if __name__ == "__main__":
    main()
