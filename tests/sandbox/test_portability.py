"""What this package does where there is no Linux, tried on Linux with all that is missing elsewhere taken away."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autograder import sandbox

LIKE_WINDOWS = """
import os, select, signal, socket, sys
sys.platform = "win32"
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for module, names in (
    (os, ("fork", "setsid", "getuid", "wait4", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "ST_NOEXEC")),
    (select, ("poll",)),
    (socket, ("AF_UNIX", "SOCK_SEQPACKET", "send_fds", "recv_fds", "socketpair")),
):
    for name in names:
        delattr(module, name)
sys.modules["msvcrt"] = None
"""


def test_importing_the_package_needs_nothing_of_linux() -> None:
    code = (
        LIKE_WINDOWS
        + """
from autograder import sandbox
report = sandbox.probe()
zygote = sandbox.start("subprocess", ["torch"])
print(report.best, zygote.level, zygote.fileno())
"""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "subprocess subprocess -1\n", done.stderr


def test_a_level_that_contains_anything_is_refused_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    for level in ("full", "landlock"):
        with pytest.raises(sandbox.SandboxError, match="needs Linux"):
            sandbox.start(level, ["torch"])


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(sandbox.SandboxError, match="choose one of full, landlock, gpu, subprocess"):
        sandbox.start("strong", ["torch"])


def test_a_device_that_is_not_contained_is_refused() -> None:
    with pytest.raises(sandbox.SandboxError, match="--device cpu"):
        sandbox.start("full", ["torch"], device="cuda")
