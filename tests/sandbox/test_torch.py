"""A sandbox with torch in it: what a submission computes is what it would compute outside, at every level."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox_shell import Shell, refuse

from autograder import sandbox

CODE = """
import hashlib, torch
torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.LayerNorm(128), torch.nn.Linear(128, 8))
optimizer = torch.optim.AdamW(model.parameters())
for _ in range(3):
    optimizer.zero_grad()
    x = torch.randn(32, 64)
    y = torch.nn.functional.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None], is_causal=True)
    (model(x).softmax(-1).log().mean() + y.exp().mean()).backward()
    optimizer.step()
data = b"".join(parameter.detach().numpy().tobytes() for parameter in model.parameters())
answer = hashlib.sha256(data).hexdigest()
"""


@pytest.fixture(scope="module", params=["full", "landlock"])
def zygote(request: pytest.FixtureRequest, package: Path) -> Iterator[sandbox.Zygote]:
    try:
        found = sandbox.start(request.param, ["torch"], package=package)
        found.ready()
    except sandbox.SandboxError as error:
        refuse(f"needs level {request.param}: {error}")
    yield found
    found.stop()


def test_the_last_digit_is_the_same_inside_and_outside(zygote: sandbox.Zygote) -> None:
    done = subprocess.run([sys.executable, "-c", CODE + "print(answer)"], capture_output=True, text=True, check=True)
    with sandbox.attach(zygote.fileno()).worker() as worker:
        assert Shell(worker).run(CODE) == done.stdout.strip()


def test_the_first_optimizer_costs_no_import(zygote: sandbox.Zygote) -> None:
    with sandbox.attach(zygote.fileno()).worker() as worker:
        code = "import time, torch; start = time.process_time(); torch.optim.Adam([torch.ones(1)]); "
        assert Shell(worker).run(code + "answer = time.process_time() - start") < 0.3


def test_memory_for_a_tensor_is_limited(zygote: sandbox.Zygote) -> None:
    with sandbox.attach(zygote.fileno()).worker(sandbox.Limits(memory_mebibytes=256)) as worker:
        shell = Shell(worker)
        assert shell.run("import torch; x = torch.ones(40 << 20); answer = float(x[0])") == 1.0
        assert shell.run("import torch; x = torch.ones(100 << 20)")[0] == "RuntimeError"


def test_what_is_to_be_compiled_runs_as_it_is(zygote: sandbox.Zygote) -> None:
    with sandbox.attach(zygote.fileno()).worker() as worker:
        code = "import torch; answer = torch.compile(lambda x: x + 1)(torch.ones(1)).item()"
        assert Shell(worker).run(code) == 2.0


def test_a_worker_is_ready_in_a_moment(zygote: sandbox.Zygote) -> None:
    forker = sandbox.attach(zygote.fileno())
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        worker = forker.worker()
        seconds.append(time.perf_counter() - start)
        worker.stop()
    # 20 ms where nothing else runs; the bound is for a machine where much does.
    assert statistics.median(seconds) < 0.5


def test_a_fresh_interpreter_is_under_the_same_lock_down(
    zygote_at: Callable[..., sandbox.Zygote], zygote: sandbox.Zygote
) -> None:
    forker = sandbox.attach(zygote_at(zygote.level, "fresh").fileno())
    with forker.worker() as one, forker.worker() as other:
        code = "import ctypes; answer = ctypes.cast(ctypes.CDLL(None).printf, ctypes.c_void_p).value"
        assert Shell(one).run("open('/etc/passwd')") in (("PermissionError", 13), ("FileNotFoundError", 2))
        assert Shell(one).run("import os; os.fork()") == ("PermissionError", 1)
        assert Shell(one).run(code) != Shell(other).run(code)  # its own memory layout
        assert Shell(one).run("import os; answer = os.environ.get('PYTHONHASHSEED')") == "0"
    assert forker.forks >= 2
