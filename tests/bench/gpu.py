"""The references on a device in float32 and bfloat16 against the CPU in float64, and how long they take there.

    python tests/bench/gpu.py --device cuda [--quick] [--json] [ASSIGNMENT ...]

The calls are in gpu_cases/<assignment>.py; an assignment without that file has nothing for a device to do. The inputs
are rounded to the dtype first, so that both sides compute on the same numbers. Exit code 1 if a result strays too far
or lies on another device or in another dtype. A file with `measures` also times something whole, as a share of what
the device can do. Under nine minutes with every assignment.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from gpu_cases import Case
from torch import Tensor

from autograder.course import open_course
from autograder.given.experiment import load, say, table

DTYPES = (torch.float32, torch.bfloat16)
HERE = Path(__file__).parent


def place(inputs: tuple[Tensor, ...], device: str, dtype: torch.dtype) -> list[Tensor]:
    """The inputs on the device; those of a floating dtype in `dtype`."""
    return [x.to(device, dtype) if x.is_floating_point() else x.to(device) for x in inputs]


def compare(module: ModuleType, case: Case, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Whether one call on the device gives what the CPU gives in float64 on the same numbers."""
    drawn = case.inputs(torch.Generator().manual_seed(0), False)
    rounded = tuple(place(drawn, "cpu", dtype))
    expected = case.call(module, *place(rounded, "cpu", torch.float64))
    found = case.call(module, *place(rounded, device, dtype))
    error = float((found.cpu().double() - expected).abs().max() / expected.abs().max())
    limit = case.float32 if dtype == torch.float32 else case.bfloat16
    wrong = ""
    if found.device.type != torch.device(device).type:
        wrong = f"is on {found.device}"
    elif found.dtype != dtype:
        wrong = f"is {found.dtype}"
    elif not error <= limit:  # NaN is wrong too
        wrong = f"is off by {error:.1e}, more than {limit:.0e}"
    return {"case": case.name, "dtype": str(dtype).removeprefix("torch."), "error": error, "wrong": wrong}


def milliseconds(module: ModuleType, case: Case, device: str, dtype: torch.dtype, large: bool) -> float:
    """The best of some calls."""
    inputs = place(case.inputs(torch.Generator().manual_seed(0), large), device, dtype)
    best = float("inf")
    for _ in range(5 if device == "cuda" else 2):
        started = time.perf_counter()
        case.call(module, *inputs)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 1e3 * best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="all of them, unless some are named")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="time small inputs only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no CUDA device here; --device cpu compares all the same")
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    started = time.monotonic()
    rows, measured = [], []
    for assignment in open_course().assignments:
        if options.assignments and assignment.name not in options.assignments:
            continue
        if not (HERE / "gpu_cases" / f"{assignment.name}.py").exists():
            say(f"{assignment.name}: nothing for a device to do")
            continue
        module = load(assignment.name, assignment.solution)
        cases = importlib.import_module(f"gpu_cases.{assignment.name}")
        for case in cases.CASES:
            say(f"{assignment.name}: {case.name}, {time.monotonic() - started:.0f} s")
            for dtype in DTYPES:
                with torch.no_grad():
                    row = {"assignment": assignment.name} | compare(module, case, options.device, dtype)
                    row["ms"] = milliseconds(module, case, options.device, dtype, large=not options.quick)
                rows.append(row)
        if hasattr(cases, "measures"):
            say(f"{assignment.name}: speed of the whole, {time.monotonic() - started:.0f} s")
            measured += cases.measures(module, options.device, options.quick)
    seconds = time.monotonic() - started
    if options.json:
        found = {"device": name, "torch": torch.__version__, "seconds": seconds, "rows": rows, "measured": measured}
        print(json.dumps(found, indent=1))
    else:
        heading = ("assignment", "case", "dtype", "error", "ms", "")
        cells = [
            (r["assignment"], r["case"], r["dtype"], f"{r['error']:.1e}", f"{r['ms']:.2f}", r["wrong"] or "ok")
            for r in rows
        ]
        print(table([heading, *cells]))
        for row in measured:
            share = "" if row["of_peak"] is None else f", {row['of_peak']:.0%} of the peak"
            goal = "" if row["goal"] is None else f" (goal {row['goal']:.0%})"
            print(f"{row['what']}: {row['ms']:.2f} ms, {row['tokens_per_second']:,.0f} tokens a second{share}{goal}")
        print(f"{name}, torch {torch.__version__}, {seconds:.0f} s")
    sys.exit(1 if any(r["wrong"] for r in rows) else 0)


if __name__ == "__main__":
    main()
