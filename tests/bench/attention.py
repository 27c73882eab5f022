"""The attention reference against torch's own kernel on the CPU: time and memory of the whole matrix and of blocks.

    python tests/bench/attention.py [--quick] [--json]

One thread. Times are the CPU time of this process, the best of some runs that take turns, so that a busy machine
changes the ratios little. Memory is that of all tensors at one time; what torch's kernel needs inside is not seen.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.course import open_course
from autograder.given.experiment import load, say, table
from autograder.given.memory import PeakBytes

attention: Any = load("attention", open_course().assignment("attention").solution)

SHAPES = [(4, 8, 1024, 64), (1, 8, 2048, 64), (1, 1, 4096, 64)]  # batch, heads, length, channels of a head
LONGEST = (1, 1, 16_384, 64)  # whose matrix has 1 GiB: for blocks and torch's kernel only


def ways(causal: bool) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    def whole(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = attention.causal_mask(q.shape[-2]) if causal else None
        return attention.scaled_dot_product_attention(q, k, v, mask)

    return {
        "torch": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal),
        "blocks": lambda q, k, v: attention.chunked_attention(q, k, v, causal=causal),
        "whole": whole,
    }


def measure(shape: tuple[int, ...], causal: bool, runs: int) -> dict[str, Any]:
    q, k, v = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)).unbind(0)
    calls = ways(causal)
    if shape == LONGEST:
        del calls["whole"]
    seconds = dict.fromkeys(calls, float("inf"))
    mebibytes, results = {}, {}
    for name, call in calls.items():
        with PeakBytes() as memory:
            results[name] = call(q, k, v)
        mebibytes[name] = memory.peak / 2**20
        torch.testing.assert_close(results[name], results["torch"], rtol=1e-4, atol=1e-5)
    for _ in range(runs):
        for name, call in calls.items():
            started = time.process_time()
            call(q, k, v)
            seconds[name] = min(seconds[name], time.process_time() - started)
    return {"shape": shape, "causal": causal, "seconds": seconds, "mebibytes": mebibytes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes; figures mean little")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    started = time.monotonic()
    shapes = [(1, 2, 256, 64), (1, 1, 512, 64)] if options.quick else [*SHAPES, LONGEST]
    rows = []
    for shape in shapes:
        for causal in (True, False):
            say(f"{shape}, causal={causal}")
            rows.append(measure(shape, causal, 1 if options.quick else 2 if shape == LONGEST else 7))
    several = [r["seconds"]["blocks"] / r["seconds"]["torch"] for r in rows if r["shape"][1] > 1]
    load_now = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    summary = {"quick": options.quick, "load": load_now, "seconds": time.monotonic() - started, "rows": rows}
    if options.json:
        print(json.dumps(summary, indent=1))
        return
    cells = [("shape", "causal", "torch", "blocks", "whole", "blocks/torch", "whole/torch", "MiB torch/blocks/whole")]
    for r in rows:
        s, m = r["seconds"], r["mebibytes"]
        times = [f"{1e3 * s[name]:.1f} ms" if name in s else "-" for name in ("torch", "blocks", "whole")]
        ratios = [f"{s[name] / s['torch']:.2f} x" if name in s else "-" for name in ("blocks", "whole")]
        sizes = " / ".join(f"{m[name]:.0f}" if name in m else "-" for name in ("torch", "blocks", "whole"))
        cells.append((str(r["shape"]), "yes" if r["causal"] else "no", *times, *ratios, sizes))
    print(table(cells))
    if not options.quick:
        met = "met" if max(several) <= 2 else "MISSED"
        print(f"goal: blocks within 2 x of torch's kernel where there are heads to batch: {max(several):.2f} x, {met}")
    busy = f", load {load_now:.1f}" if load_now is not None else ""
    print(f"{summary['seconds']:.0f} s on {os.cpu_count()} cores{busy}")


if __name__ == "__main__":
    main()
