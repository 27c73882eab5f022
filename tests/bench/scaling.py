"""The batched Chinchilla fit against a loop of scipy's L-BFGS-B over the same starts, and 1,000 bootstraps of both.

    python tests/bench/scaling.py [--quick] [--json]

One thread. Times are the CPU time of this process. The loop is measured on a sample of the 4,500 starts, and of the
bootstraps, and multiplied up; its objective is the best of the whole sample. It minimises the same sum with the same
gradient, written for one start in numpy, and starts each bootstrap where ours does, at the fit of all runs. Its
tolerances are scipy's own; `tight` has the ones that it needs to come as low. The 245 runs are made from a published
law, with one per cent of noise and five that went wrong, and are as many as Besiroglu et al. (2024) fitted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from typing import Any

import numpy
import torch
from scipy.optimize import minimize
from torch import Tensor

from autograder.course import open_course
from autograder.given.experiment import load, say, table

scaling: Any = load("scaling", open_course().assignment("scaling").solution)

DELTA = 1e-3
TOLERANCES = {"scipy's own": {}, "tight": {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 2000, "maxfun": 4000}}


def runs(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """N, D and L of n runs."""
    source = torch.Generator().manual_seed(0)
    N = 10 ** (7.5 + 2.8 * torch.rand(n, generator=source, dtype=torch.float64))
    D = 10 ** (8.5 + 2.7 * torch.rand(n, generator=source, dtype=torch.float64))
    law = scaling.ScalingFit(A=482.01, B=2085.43, E=1.8172, alpha=0.3478, beta=0.3658)
    L = scaling.predict_loss(N, D, law) * (0.01 * torch.randn(n, generator=source, dtype=torch.float64)).exp()
    L[:5] *= 1.05
    return N, D, L


def objective(theta: numpy.ndarray, log_n, log_d, log_l, weights) -> tuple[float, numpy.ndarray]:
    """The objective of one start and its gradient, in numpy."""
    a, b, e, alpha, beta = theta
    terms = numpy.stack([a - alpha * log_n, b - beta * log_d, numpy.full_like(log_n, e)])
    high = terms.max(0)
    shares = numpy.exp(terms - high)
    total = shares.sum(0)
    shares /= total
    residual = high + numpy.log(total) - log_l
    pull = numpy.clip(residual, -DELTA, DELTA)
    by_n, by_d, by_e = shares * (weights * pull)
    gradient = numpy.array([by_n.sum(), by_d.sum(), by_e.sum(), -by_n @ log_n, -by_d @ log_d])
    return float((weights * pull * (residual - pull / 2)).sum()), gradient


def loop(starts: numpy.ndarray, weights: numpy.ndarray, data: tuple, options: dict) -> tuple[float, numpy.ndarray]:
    """CPU seconds of one L-BFGS-B after the other, and the objectives reached."""
    started = time.process_time()
    reached = [
        minimize(objective, start, args=(*data, w), jac=True, method="L-BFGS-B", options=options).fun
        for start, w in zip(starts, weights, strict=True)
    ]
    return time.process_time() - started, numpy.array(reached)


def timed(call) -> tuple[float, Any]:
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def of_fits(fits: Any, data: tuple, weights: numpy.ndarray) -> numpy.ndarray:
    """The objectives of a batch of fits, each under its own weights, by the loop's formula."""
    columns = [torch.as_tensor(x, dtype=torch.float64).reshape(-1).numpy() for x in vars(fits).values()]
    rows = numpy.stack([*(numpy.log(column) for column in columns[:3]), *columns[3:]], axis=-1)
    return numpy.array([objective(row, *data, w)[0] for row, w in zip(rows, weights, strict=True)])


def counts(n: int, n_boot: int, seed: int) -> numpy.ndarray:
    """The weights that bootstrap_chinchilla draws from this seed."""
    rows = torch.randint(n, (n_boot, n), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.one_hot(rows, n).sum(1).double().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few runs and starts; figures mean little")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    n, n_boot = (40, 100) if options.quick else (245, 1000)
    sample, boot_sample = (30, 10) if options.quick else (450, 100)
    N, D, L = runs(n)
    data = tuple(x.log().numpy() for x in (N, D, L))
    starts = scaling.chinchilla_starts()

    say("the batched fit")
    scaling.fit_chinchilla(N[:10], D[:10], L[:10])  # imports and allocations are nobody's time
    fit_seconds, fit = min((timed(lambda: scaling.fit_chinchilla(N, D, L)) for _ in range(3)), key=lambda t: t[0])
    ours = float(of_fits(fit, data, numpy.ones((1, n)))[0])
    say("the batched bootstraps")
    weights = counts(n, n_boot, seed=1)
    boot_seconds, boots = min(
        (
            timed(lambda: scaling.bootstrap_chinchilla(
                N, D, L, fit, n_boot, delta=DELTA, generator=torch.Generator().manual_seed(1)))
            for _ in range(2)
        ),
        key=lambda t: t[0],
    )  # fmt: skip
    our_boots = of_fits(boots, data, weights)[:boot_sample]
    say("every start to its end")
    all_seconds, everywhere = timed(lambda: scaling.fit_chinchilla(N, D, L, inits=starts))
    best_of_all = float(of_fits(everywhere, data, numpy.ones((1, n)))[0])

    order = torch.randperm(len(starts), generator=torch.Generator().manual_seed(2))[:sample]
    chosen = starts[order].numpy()
    at_fit = numpy.array([math.log(fit.A), math.log(fit.B), math.log(fit.E), fit.alpha, fit.beta])
    loops = {}
    for name, tolerances in TOLERANCES.items():
        say(f"the loop, {name} tolerances")
        seconds, reached = loop(chosen, numpy.ones((sample, n)), data, tolerances)
        boot, boot_reached = loop(numpy.tile(at_fit, (boot_sample, 1)), weights[:boot_sample], data, tolerances)
        loops[name] = {
            "fit_seconds": seconds / sample * len(starts),
            "boot_seconds": boot / boot_sample * n_boot,
            "objective": float(reached.min()),
            "share_at_optimum": float((reached < ours * 1.001).mean()),
            "boot_worse": float((boot_reached > our_boots * 1.001).mean()),
            "boot_better": float((boot_reached < our_boots / 1.001).mean()),
        }
    for found in loops.values():
        found["ratio"] = (found["fit_seconds"] + found["boot_seconds"]) / (fit_seconds + boot_seconds)
        found["fit_ratio"] = found["fit_seconds"] / fit_seconds
    summary = {
        "quick": options.quick, "runs": n, "bootstraps": n_boot, "sample": sample, "boot_sample": boot_sample,
        "fit_seconds": fit_seconds, "boot_seconds": boot_seconds, "objective": ours,
        "all_starts_seconds": all_seconds, "all_starts_objective": best_of_all, "loops": loops,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None, "seconds": time.monotonic() - started,
    }  # fmt: skip
    if options.json:
        print(json.dumps(summary, indent=1))
        return
    rows = [("", "4,500 starts", f"{n_boot:,} bootstraps", "objective", "starts at optimum", "together")]
    rows.append(("batched", f"{fit_seconds:.2f} s", f"{boot_seconds:.2f} s", f"{ours:.8f}", "", "1 x"))
    rows.append(("batched, every start", f"{all_seconds:.2f} s", "", f"{best_of_all:.8f}", "", ""))
    for name, found in loops.items():
        rows.append((
            f"loop, {name}", f"{found['fit_seconds']:.1f} s", f"{found['boot_seconds']:.1f} s",
            f"{found['objective']:.8f}", f"{found['share_at_optimum']:.0%}", f"{found['ratio']:.0f} x",
        ))  # fmt: skip
        say(f"{name}: {found['boot_worse']:.0%} of its bootstraps end above ours, {found['boot_better']:.0%} below")
    print(table(rows))
    if not options.quick:
        no_worse = all(ours <= found["objective"] * (1 + 1e-6) for found in loops.values())
        met = "met" if no_worse and min(found["ratio"] for found in loops.values()) >= 50 else "MISSED"
        print(f"goal: 50 x with an objective no worse: {met}")
    print(f"{summary['seconds']:.0f} s on {os.cpu_count()} cores, load {summary['load']}")


if __name__ == "__main__":
    main()
