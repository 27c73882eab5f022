"""The BPE reference against HF tokenizers, sentencepiece, minbpe's method and tiktoken, all in one run on one thread.

    python tests/bench/bpe.py [--quick] [--json]

Times are the CPU time of this process, the best of some runs, so that a busy machine changes the ratios little.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"  # before tokenizers starts its threads
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from autograder.course import open_course
from autograder.given import corpus
from autograder.given.experiment import load, say, table

bpe: Any = load("bpe", open_course().assignment("bpe").solution)
Merges = list[tuple[bytes, bytes]]


def cpu_seconds(call: Callable[[], Any], runs: int = 1) -> tuple[float, Any]:
    """The best CPU time of some runs, and what the last one returned."""
    best, result = float("inf"), None
    for _ in range(runs):
        started = time.process_time()
        result = call()
        best = min(best, time.process_time() - started)
    return best, result


def row(what: str, ours: str, theirs: str, ratio: float, goal: str, met: bool | None, note: str = "") -> dict[str, Any]:
    return {"what": what, "ours": ours, "theirs": theirs, "ratio": ratio, "goal": goal, "met": met, "note": note}


# --- training ---------------------------------------------------------------------------------------------------------


def train_hf(texts: list[str], vocab_size: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # GPT-2's pattern
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)


def train_sentencepiece(texts: list[str], vocab_size: int) -> None:
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for text in texts for line in text.splitlines()),
        model_writer=io.BytesIO(),
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        num_threads=1,
        max_sentence_length=1 << 16,
        minloglevel=2,
    )


def train_as_minbpe(texts: list[str], vocab_size: int) -> Merges:
    """The method of minbpe's RegexTokenizer: count and replace in every pretoken of the corpus, at each merge anew."""
    words = [[bytes([b]) for b in pretoken.encode()] for text in texts for pretoken in bpe.pretokenize(text)]
    merges: Merges = []
    for _ in range(vocab_size - 256):
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for word in words:
            for pair in pairwise(word):
                counts[pair] += 1
        best = max(counts, key=lambda p: (counts[p], p))
        words = [bpe.merge_pair(word, best) for word in words]
        merges.append(best)
    return merges


def training(quick: bool) -> Iterator[dict[str, Any]]:
    texts, vocab_size = (corpus.sources()[::12], 2_000) if quick else (corpus.sources(), 10_000)
    n_bytes = sum(len(text.encode()) for text in texts)
    what = f"train {n_bytes / 1e6:.1f} MB to {vocab_size:,}"
    runs = 1 if quick else 3
    say(f"{what}: the reference")
    ours, (_, merges) = cpu_seconds(lambda: bpe.train_bpe(texts, vocab_size), runs)
    say(f"{what}: tokenizers")
    hf, _ = cpu_seconds(lambda: train_hf(texts, vocab_size), runs)
    ratio = ours / hf
    yield row(f"{what}, HF", f"{ours:.2f} s", f"{hf:.2f} s", ratio, "<= 1.5 x, want 1.0", ratio <= 1.5)
    say(f"{what}: sentencepiece")
    sp, _ = cpu_seconds(lambda: train_sentencepiece(texts, vocab_size))
    yield row(f"{what}, sentencepiece", f"{ours:.2f} s", f"{sp:.2f} s", ours / sp, "", None)

    small, size = [corpus.topics()[1][:20_000]] if quick else corpus.topics()[:14], 320 if quick else 400
    n_small = sum(len(text.encode()) for text in small)
    what = f"train {n_small / 1e6:.2f} MB to {size}"
    say(f"{what}: minbpe's method")
    fast, (_, expected) = cpu_seconds(lambda: bpe.train_bpe(small, size), 3)
    slow, found = cpu_seconds(lambda: train_as_minbpe(small, size))
    assert found == expected, "the slow method learns other merges"
    # It goes over the whole corpus at each merge, so its time is bytes x merges; tokens get fewer, so this is too high.
    scaled = slow * n_bytes / n_small * len(merges) / len(found)
    note = f"the whole corpus: {scaled / 3600:.1f} h, scaled by bytes and merges"
    yield row(
        f"{what}, minbpe's method", f"{fast:.3f} s", f"{slow:.2f} s", fast / slow, "<= 1/10 x", fast < slow / 10, note
    )


# --- encoding ---------------------------------------------------------------------------------------------------------


def hf_encoder(vocab: dict[int, bytes], merges: Merges) -> Callable[[str], list[int]]:
    from tokenizers import Tokenizer, models, pre_tokenizers

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]  # GPT-2's stand-ins: other bytes follow at U+0100
    others = [b for b in range(256) if b not in printable]
    stand_in = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}

    def text(token: bytes) -> str:
        return "".join(stand_in[b] for b in token)

    model = models.BPE({text(token): i for i, token in vocab.items()}, [(text(a), text(b)) for a, b in merges])
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return lambda text: tokenizer.encode(text).ids


def encoding(quick: bool) -> Iterator[dict[str, Any]]:
    import tiktoken

    every = corpus.sources()[:: 12 if quick else 1]
    vocab, merges = bpe.train_bpe(every[::2], 2_000 if quick else 10_000)
    text = "".join(every[1::4])  # not trained on
    megabytes = len(text.encode()) / 1e6
    say(f"encode {megabytes:.1f} MB")
    runs = 1 if quick else 3
    cold, ids = cpu_seconds(lambda: bpe.Tokenizer(vocab, merges).encode(text), runs)
    tokenizer = bpe.Tokenizer(vocab, merges)
    tokenizer.encode(text)
    warm, _ = cpu_seconds(lambda: tokenizer.encode(text), runs)
    chunks = [text[i : i + 65_536] for i in range(0, len(text), 65_536)]
    stream, streamed = cpu_seconds(lambda: list(bpe.Tokenizer(vocab, merges).encode_iterable(chunks)), runs)
    assert streamed == ids
    hf, hf_ids = cpu_seconds(lambda: hf_encoder(vocab, merges)(text), runs)
    ranks = {token: i for i, token in vocab.items()}
    encoder = tiktoken.Encoding("bench", pat_str=bpe.GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={})
    tik, tik_ids = cpu_seconds(lambda: encoder.encode_ordinary(text), runs)
    assert hf_ids == ids, "HF tokenizers gives other ids"
    assert tik_ids == ids, "tiktoken gives other ids"

    def speed(seconds: float) -> str:
        return f"{megabytes / seconds:.2f} MB/s"

    what = f"encode {megabytes:.1f} MB"
    yield row(f"{what}, HF", speed(cold), speed(hf), hf / cold, ">= 4 x", hf / cold >= 4, "the same ids")
    yield row(f"{what}, tiktoken", speed(cold), speed(tik), tik / cold, ">= 0.4 x", tik / cold >= 0.4, "the same ids")
    yield row(f"{what}, words seen before", speed(warm), speed(tik), tik / warm, "", None, "against tiktoken")
    yield row(f"{what}, 64 Ki chunks", speed(stream), speed(tik), tik / stream, "", None, "against tiktoken")


# --- memory -----------------------------------------------------------------------------------------------------------


def peak_mebibytes() -> float:
    """The most memory that this process had. Linux's ru_maxrss may be that of the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def stream_of(megabytes: int) -> Iterator[str]:
    """Generated text, again and again until it is long enough; each text is about half a megabyte."""
    texts = [" ".join(" ".join(document) for document in corpus.generated(2_000, seed)) for seed in range(4)]
    left = megabytes * 10**6
    while left > 0:
        for text in texts:
            yield text
            left -= len(text)


def measure_stream(megabytes: int) -> None:
    """What the child process does: train on a stream, encode it, and print the peak before and after."""
    before = peak_mebibytes()
    vocab, merges = bpe.train_bpe(stream_of(megabytes), 2_000)
    trained = peak_mebibytes()
    ids = bpe.Tokenizer(vocab, merges).encode_iterable(stream_of(megabytes // 10))
    n_ids = sum(1 for _ in ids)
    print(json.dumps({"before": before, "trained": trained, "encoded": peak_mebibytes(), "ids": n_ids}))


def memory(quick: bool) -> Iterator[dict[str, Any]]:
    peaks = {}
    for megabytes in (2, 10) if quick else (20, 200):
        say(f"training on a stream of {megabytes} MB in a process of its own")
        child = [sys.executable, __file__, "--stream", str(megabytes)]
        found = subprocess.run(child, check=True, capture_output=True, text=True, env=os.environ)
        peaks[megabytes] = json.loads(found.stdout)
    (small, few), (large, many) = peaks.items()
    ratio = many["trained"] / few["trained"]
    note = f"{many['before']:.0f} MiB before; {many['encoded']:.0f} MiB after encoding a tenth of it too"
    yield row(
        f"peak memory, stream of {large} MB against {small} MB", f"{many['trained']:.0f} MiB",
        f"{few['trained']:.0f} MiB", ratio, "<= 1.1 x", ratio <= 1.1, note,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, one run each; figures mean little")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--stream", type=int, metavar="MB", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stream:
        measure_stream(options.stream)
        return
    started = time.monotonic()
    rows = [r for part in (training, encoding, memory) for r in part(options.quick)]
    for r in rows if options.quick else []:
        r["met"] = None  # the goals are for full sizes
    seconds = time.monotonic() - started
    load_now = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if options.json:
        print(json.dumps({"quick": options.quick, "load": load_now, "seconds": seconds, "rows": rows}, indent=1))
        return
    met = {True: "met", False: "MISSED", None: ""}
    cells = [(r["what"], r["ours"], r["theirs"], f"{r['ratio']:.3g} x", r["goal"], met[r["met"]]) for r in rows]
    print(table([("", "reference", "other", "ratio", "goal", ""), *cells]))
    for r in rows:
        if r["note"]:
            print(f"{r['what']}: {r['note']}")
    busy = f", load {load_now:.1f}" if load_now is not None else ""
    print(f"{seconds:.0f} s on {os.cpu_count()} cores{busy}")


if __name__ == "__main__":
    main()
