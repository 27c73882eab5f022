"""What this machine can do, found by trying."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autograder import sandbox
from autograder.sandbox import machine


def test_every_layer_and_level_is_reported_with_a_reason_where_it_fails() -> None:
    report = sandbox.probe()
    assert {layer.name for layer in report.layers} == {"bubblewrap", "user namespaces", "landlock", "seccomp", "limits"}
    # Level gpu is asked for by name and never the best that there is.
    assert [standing.level for standing in report.levels] == [own for own in sandbox.LEVELS if own != "gpu"]
    for layer in report.layers:
        assert layer.holds or (layer.why and layer.fix)
    for standing in report.levels[:2]:
        assert standing.holds or standing.why
    assert report.best in sandbox.LEVELS


def test_the_best_level_starts(package: Path) -> None:
    with sandbox.start(sandbox.probe().best, [], package=package) as zygote:
        assert zygote.level == sandbox.probe().best


def test_without_bubblewrap_the_report_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    report = sandbox.probe()
    layer = report.layers[0]
    assert (layer.name, layer.holds) == ("bubblewrap", False)
    assert "apt install bubblewrap" in layer.fix
    assert not report.levels[0].holds
    assert "bwrap" in report.levels[0].why


@pytest.mark.parametrize(("killed", "best"), [(1, "full"), (2, "landlock")])
def test_a_start_that_something_else_killed_lowers_no_level(
    killed: int, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def start(level: str) -> None:
        begun.append(level)
        if begun.count("full") <= killed and level == "full":
            raise sandbox.SandboxError("the sandbox ended with signal 9 before it was ready")

    monkeypatch.setattr(machine, "_start", start)
    monkeypatch.setattr(machine, "_layers", list)
    assert sandbox.probe().best == best
    assert begun == ["full", "full", "landlock"]


def test_on_another_system_only_the_weakest_level_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    report = sandbox.probe()
    assert report.best == "subprocess"
    assert all(not layer.holds for layer in report.layers)


def test_probing_imports_no_torch() -> None:
    code = "import sys; from autograder import sandbox; sandbox.probe(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
