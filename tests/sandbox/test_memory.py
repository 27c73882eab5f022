"""What is in the memory of a sandbox's processes, read from outside: nothing of the grader's or of who came before."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

import pytest
from sandbox_shell import Shell, descendants

from autograder import sandbox


def holders(text: str, pids: set[int]) -> set[int]:
    """Which of the processes have `text` in memory that they may write to."""
    found = set()
    for pid in pids:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                bounds, rights = line.split()[:2]
                if not rights.startswith("rw"):
                    continue
                start, end = (int(bound, 16) for bound in bounds.split("-"))
                try:
                    memory.seek(start)
                    if text.encode() in memory.read(end - start):
                        found.add(pid)
                except (OSError, OverflowError, ValueError):
                    continue
    return found


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can read other processes' memory")
def test_memory_holds_neither_secrets_nor_earlier_submissions(
    level: str, zygote_at: Callable[..., sandbox.Zygote]
) -> None:
    zygote = zygote_at(level)
    secret, earlier, control = (secrets.token_hex(16) for _ in range(3))
    os.environ["AUTOGRADER_SECRET"] = secret
    forker = sandbox.attach(zygote.fileno())
    own = {os.getpid()}
    with forker.worker() as worker:
        assert Shell(worker).run(f"kept = [{earlier!r}] * 10; answer = 1") == 1
        assert holders(earlier, descendants() - own)
    with forker.worker() as worker:
        assert Shell(worker).run(f"kept = [{control!r}] * 10; answer = 1") == 1
        processes = descendants() - own
        assert len(holders(control, processes)) == 1
        assert not holders(secret, processes)
        assert not holders(earlier, processes)
    del os.environ["AUTOGRADER_SECRET"]
