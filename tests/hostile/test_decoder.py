"""The decoder under mutants: `WireError` or a value no larger than what was sent, and every branch of it reached."""

from __future__ import annotations

import pytest
from fuzz_decoder import Report, fuzz

from autograder import wire


def well_covered(report: Report) -> bool:
    return len(report.missed) <= 0.05 * report.branches


def test_mutants_raise_wire_error_or_become_values_and_reach_the_decoders_branches() -> None:
    report = fuzz(6_000, 120.0)
    assert report.decoded >= 6_000
    assert report.refused > 1_000
    assert report.values > 1_000
    assert well_covered(report), report.missed


@pytest.mark.full
def test_a_minute_of_mutants_raises_nothing_else() -> None:
    report = fuzz(10**9, 60.0, seed=1)
    assert well_covered(report), report.missed
    assert report.decoded > 20_000


@pytest.mark.parametrize("check", ["hash", "shape", "unused"])
def test_the_mutants_find_what_a_missing_check_lets_through(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if check == "hash":
        monkeypatch.setattr(
            wire.Decoder, "_keys", lambda self, nodes, depth: [self.value(node, depth + 1) for node in nodes]
        )
    elif check == "shape":
        monkeypatch.setattr(wire, "_possible", lambda shape, itemsize: None)
    else:
        monkeypatch.setattr(wire.Decoder, "_bytes", lambda self, buffer, shape, itemsize: self._buffers[buffer])
    with pytest.raises(Exception, match=r".") as caught:
        fuzz(20_000, 60.0, traced=2_000)
    assert not isinstance(caught.value, wire.WireError)
