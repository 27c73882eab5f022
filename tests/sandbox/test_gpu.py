"""Level gpu: what still holds without the filter on system calls, and that tensors live where the suite wants them.

Without a device everything but the device itself is tried, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sandbox_shell import Shell
from toyclass import COURSE, SOLUTION

from autograder import executors, sandbox, wire
from autograder.course import open_course
from autograder.executors import LaneSettings, Task
from autograder.job import Job
from autograder.outcome import TestOutcome

LANDLOCK = pytest.mark.needs("namespaces", "see `autograder doctor`")


@pytest.fixture
def shell(zygote_at: Callable[..., sandbox.Zygote]) -> Shell:
    forker = sandbox.attach(zygote_at("gpu").fileno())  # its self-test has passed
    with forker.worker() as worker:
        yield Shell(worker)
    forker.close()


def graded(level: str, device: str, assignment: str, source: str, course: str = "") -> tuple[TestOutcome, ...]:
    task = Task("one", Job(assignment, source.encode(), b"seed", course=course))
    settings = LaneSettings(level, ("torch",), device=device)
    (done,) = [event for event in executors.run([task], settings, 1, 300) if event.done]
    assert not done.grader_error
    return done.outcomes


@LANDLOCK
@pytest.mark.parametrize("path", [__file__, "/etc/passwd", str(COURSE / "suites" / "toy" / "test_toy.py")])
def test_hidden_files_stay_hidden(shell: Shell, path: str) -> None:
    assert Path(path).read_bytes()
    assert shell.run(f"answer = open({path!r}).read(1)") == ("PermissionError", 13)


@LANDLOCK
def test_nothing_is_written_but_in_its_own_directory(shell: Shell, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert shell.run(f"open({str(tmp_path / 'mine')!r}, 'w')") == ("PermissionError", 13)
    assert shell.run("import os; open(os.environ['TMPDIR'] + '/mine', 'w').write('x'); answer = 1") == 1


@LANDLOCK
def test_a_submission_earns_there_what_it_earns_elsewhere() -> None:
    outcomes = graded("gpu", "cpu", "toy", SOLUTION, str(COURSE))
    assert {outcome.status for outcome in outcomes} == {"passed"}


@pytest.mark.gpu
@pytest.mark.timeout(600)
def test_the_references_earn_every_point_on_the_device() -> None:
    for assignment in open_course().assignments:
        outcomes = graded("gpu", "cuda", assignment.name, assignment.solution.read_text(encoding="utf-8"))
        assert [o.test for o in outcomes if o.status != "passed"] == []


def test_other_levels_refuse_a_device() -> None:
    with pytest.raises(sandbox.SandboxError, match="on the CPU only, not on cuda"):
        sandbox.start("full", ["torch"], device="cuda")


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), ()])
def test_tensors_arrive_on_the_device_that_is_named(shape: tuple[int, ...]) -> None:
    encoder = wire.Encoder()
    node = encoder.node(torch.ones(shape))
    body = bytearray(b"".join(bytes(buffer) for buffer in encoder.buffers))

    def arrived(device: torch.device | None) -> torch.Tensor:
        return wire.Decoder(wire.sizes(encoder.buffers), body, lambda node: None, device).value(node)

    assert arrived(torch.device("meta")).device.type == "meta"  # a device that every machine has
    assert arrived(None).device.type == "cpu"
    assert arrived(torch.device("meta")).shape == shape
