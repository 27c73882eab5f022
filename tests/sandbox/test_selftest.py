"""The self-test can fail: with no containment it finds every layer missing, and a sandbox that fails it is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from autograder import sandbox
from autograder.sandbox import selftest
from autograder.sandbox.channel import ZygoteForker
from autograder.sandbox.control import Task


def findings(forker: sandbox.Forker, level: str, hidden: tuple[str, ...] = ()) -> list[selftest.Finding]:
    assert isinstance(forker, ZygoteForker)
    with forker.start(Task.TEST, sandbox.Limits()) as worker:
        ground = msgspec.json.encode(selftest.Ground(level, hidden, 2048))
        worker.send([selftest.LENGTH.pack(len(ground)), ground], 5.0)
        size = selftest.LENGTH.unpack(worker.receive(selftest.LENGTH.size, 10.0))[0]
        return msgspec.json.decode(worker.receive(size, 10.0), type=list[selftest.Finding])


def test_without_containment_every_layer_is_found_missing(zygote_at: Callable[..., sandbox.Zygote]) -> None:
    with contextlib.closing(sandbox.attach(zygote_at("subprocess").fileno())) as forker:
        found = findings(forker, "full", (__file__,))
    assert {finding.layer for finding in found} >= {"bubblewrap", "landlock", "namespaces", "seccomp", "rlimits"}
    text = "\n".join(finding.what for finding in found)
    for expected in (
        __file__,
        "/etc/passwd could be read",
        "make a process",
        "AF_UNIX",
        "system call bpf",
        "RLIMIT_CORE",
    ):
        assert expected in text


def test_at_its_own_level_a_sandbox_finds_nothing(forker: sandbox.Forker, level: str) -> None:
    assert findings(forker, level, (__file__, "/etc/hostname")) == []


def test_landlock_does_not_pass_for_full(zygote_at: Callable[..., sandbox.Zygote]) -> None:
    with contextlib.closing(sandbox.attach(zygote_at("landlock").fileno())) as forker:
        layers = {finding.layer for finding in findings(forker, "full", (__file__,))}
    assert layers == {"bubblewrap", "namespaces"}


def test_a_sandbox_that_does_not_hold_is_refused(package: Path) -> None:
    zygote = sandbox.start("subprocess", [], package=package)
    zygote.level = "full"  # as if the layers had silently not come into force
    with pytest.raises(sandbox.SandboxError, match=r"level full does not hold on this machine \(.*in all\)"):
        zygote.fileno()


@pytest.mark.parametrize("layer", ["namespaces", "landlock", "seccomp", "rlimits"])
def test_a_sandbox_without_one_of_its_layers_is_refused_and_the_layer_named(
    layer: str, level: str, package: Path, zygote_at: Callable[..., sandbox.Zygote]
) -> None:
    zygote_at(level)
    if (layer, level) == ("namespaces", "landlock"):
        return  # has none
    with pytest.raises(sandbox.SandboxError, match=rf"level {level} does not hold .*{layer}: "):
        sandbox.start(level, [], package=package, without=(layer,)).ready()
