"""What this machine can do: every layer tried alone, then every level as a whole, by starting it, in 0.3 s.

Nothing is concluded from versions: a kernel can have a feature that a container, a security module or a sysctl forbids.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys

import msgspec

from autograder.sandbox import launch, runtime, walls
from autograder.sandbox.advice import advice, clues
from autograder.sandbox.errors import SandboxError

SECONDS = 10.0
LAYERS_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from autograder.sandbox.layers import main; main(int(sys.argv[2]))"
)
LAYERS = ("bubblewrap", "user namespaces", "landlock", "seccomp", "limits")


class Layer(msgspec.Struct, frozen=True):
    """One means of containment: whether it holds, what it says about itself or why it does not, and what to do."""

    name: str
    holds: bool
    why: str = ""
    fix: str = ""


class Standing(msgspec.Struct, frozen=True):
    """One level: whether it can be reached here, and why not."""

    level: str
    holds: bool
    why: str = ""


class Report(msgspec.Struct, frozen=True):
    """All layers, and all levels from the strongest to the weakest."""

    layers: tuple[Layer, ...]
    levels: tuple[Standing, ...]

    @property
    def best(self) -> str:
        """The strongest level that holds."""
        return next(standing.level for standing in self.levels if standing.holds)


def probe() -> Report:
    """Try everything. Imports no torch, raises nothing for what this machine lacks."""
    weakest = Standing("subprocess", True, "contains nothing: only for code that you trust")
    if sys.platform != "linux":
        fix = _fix("landlock")
        why = f"{platform.system()} has no such thing"
        layers = tuple(Layer(name, False, why, fix) for name in LAYERS)
        return Report(
            layers, (*(Standing(level, False, f"needs Linux: {fix}") for level in ("full", "landlock")), weakest)
        )
    return Report((_bubblewrap(), *_layers()), (_standing("full"), _standing("landlock"), weakest))


def _fix(layer: str) -> str:
    return advice(layer, clues())


def _standing(level: str) -> Standing:
    """Whether a sandbox of this level starts, and its self-test passes, without torch.

    It is asked twice: a process that something else killed must not make a whole class be graded at a lower level.
    """
    try:
        _start(level)
    except SandboxError:
        try:
            _start(level)
        except SandboxError as error:
            return Standing(level, False, str(error))
    return Standing(level, True)


def _start(level: str) -> None:
    zygote = launch.launch(level, runtime.tree([]), ("autograder.sandbox.selftest",))
    zygote.ready(SECONDS)
    zygote.stop()


def _bubblewrap() -> Layer:
    program = shutil.which("bwrap")
    if program is None:
        return Layer("bubblewrap", False, "there is no program `bwrap`", _fix("bubblewrap"))
    user = () if os.getuid() == 0 else ("--unshare-user",)
    command = [program, *walls.OUTER_NAMESPACES, *user, "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Layer("bubblewrap", False, str(error), _fix("user namespaces"))
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        return Layer("bubblewrap", False, last[0], _fix("user namespaces"))
    return Layer("bubblewrap", True, program)


def _layers() -> list[Layer]:
    """Those that a process of its own tries."""
    keep = launch.Keep()
    try:
        tree = keep.directory / "runtime"
        walls.link_tree(runtime.package_entries(runtime.PACKAGE), tree)
        uid = walls.unused_uid() if os.getuid() == 0 else -1
        command = [str(runtime.interpreter().executable), *walls.FLAGS, "-c", LAYERS_BOOT, str(tree), str(uid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True, env={})
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, SandboxError) as error:
        return [Layer(name, False, f"could not be tried: {error}", _fix(name)) for name in LAYERS[1:]]
    finally:
        keep.remove()
    return [Layer(name, holds, why, "" if holds else _fix(name)) for name, (holds, why) in found.items()]
