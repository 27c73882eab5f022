"""A class in one run takes no more of the orchestrator at its end than at its beginning."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from load import run

pytestmark = pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")


@pytest.mark.full
def test_memory_processes_and_files_do_not_grow_with_the_class() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        load = run(60, Path(place))
    assert max(load.mebibytes[1:]) - load.mebibytes[1] < 60 * 0.15, load  # a record is what grows
    assert load.most_processes <= 2 * 8 + 1, load  # a lane: wall 2, zygote, worker 2, judge 2, and one that begins
    assert load.most_files <= 64, load
    assert load.largest_record < 200_000, load
    assert load.last_pace < 3 * load.first_pace + 0.5, load
