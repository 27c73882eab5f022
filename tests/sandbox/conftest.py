"""Sandboxes for tests. A test that asks for `forker` or `shell` runs at each level that contains anything.

A zygote lives as long as the session, and without torch it takes a fifth of a second to start.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox_shell import HOW, WORKER, Shell, refuse

from autograder import sandbox
from autograder.sandbox import kernel

CONTAINED = ("full", "landlock")


@pytest.fixture(autouse=True)
def adopt_orphans() -> None:
    """So that whatever a test starts, at whatever distance, is among this process's descendants."""
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


@pytest.fixture(scope="session")
def package() -> Iterator[Path]:
    """An `autograder` with that worker, readable by the user id that a sandbox drops to."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    inside = place / "autograder"
    inside.mkdir(mode=0o755)
    (inside / "__init__.py").write_text("")
    (inside / "worker.py").write_text(WORKER)
    for path in (inside, *inside.iterdir()):
        path.chmod(0o755)
    yield inside
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def zygote_at(package: Path) -> Iterator[Callable[..., sandbox.Zygote]]:
    """Zygotes by level and isolation, each started once. Skips, with the reason, where this machine cannot."""
    started: dict[tuple[str, str], sandbox.Zygote | str] = {}

    def zygote(level: str, isolation: str = "zygote") -> sandbox.Zygote:
        key = level, isolation
        if key not in started:
            try:
                new = sandbox.start(level, [], isolation=isolation, package=package)
                new.ready()
                started[key] = new
            except sandbox.SandboxError as error:
                started[key] = f"needs level {level}: {error} ({HOW.get(level)})"
        found = started[key]
        if isinstance(found, str):
            refuse(found)
        assert isinstance(found, sandbox.Zygote)
        return found

    yield zygote
    for zygote_or_reason in started.values():
        if isinstance(zygote_or_reason, sandbox.Zygote):
            zygote_or_reason.stop()


@pytest.fixture(params=CONTAINED)
def level(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def forker(level: str, zygote_at: Callable[..., sandbox.Zygote]) -> Iterator[sandbox.Forker]:
    found = sandbox.attach(zygote_at(level).fileno())
    yield found
    found.reset()
    found.close()


@pytest.fixture
def shell(forker: sandbox.Forker) -> Iterator[Shell]:
    with forker.worker() as worker:
        yield Shell(worker)
