"""What every test shares: what a machine must have for it, and no deadline on a property's single example.

A test marked `@pytest.mark.needs("bubblewrap", "apt install bubblewrap")` is skipped on a machine without it.
Under AUTOGRADER_CI=1 it fails instead: there, a test that did not run is a test that did not pass. Properties draw the
same examples there every time, so that a failure is about the change; everywhere else they look for new ones.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # before Hypothesis reads it
def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("AUTOGRADER_CI") == "1" and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = "0"


@functools.cache
def present(what: str) -> bool:
    """Whether this machine has it: namespaces by making one, a program by its name on the PATH."""
    if what == "namespaces":
        command = ["bwrap", "--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "true"]
        return present("bubblewrap") and subprocess.run(command, capture_output=True, check=False).returncode == 0
    return shutil.which({"bubblewrap": "bwrap"}.get(what, what)) is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("needs an NVIDIA device (/dev/nvidia0)")  # in CI too: it has none
    for marker in item.iter_markers("needs"):
        what, how = marker.args
        if not present(what):
            refuse = pytest.fail if os.environ.get("AUTOGRADER_CI") == "1" else pytest.skip
            refuse(f"needs {what}: {how}")
