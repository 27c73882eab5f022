"""The benchmarks run: small sizes, whose figures mean nothing. Real ones are made by hand and kept in bench/results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).with_name("bench")


def found_by(script: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(BENCH / script), "--quick", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return json.loads(done.stdout)


def rows_of(script: str, *arguments: str) -> list[dict[str, Any]]:
    return found_by(script, *arguments)["rows"]


@pytest.mark.full
def test_the_bpe_reference_gives_the_ids_of_the_tools_that_it_is_measured_against() -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("tiktoken")
    assert {row["note"] for row in rows_of("bpe.py")} >= {"the same ids"}


@pytest.mark.full
def test_the_attention_reference_is_measured_against_torch() -> None:
    assert all({"torch", "blocks", "whole"} <= set(row["seconds"]) for row in rows_of("attention.py"))


@pytest.mark.full
def test_the_gpt_reference_writes_the_ids_and_has_the_loss_of_those_that_it_is_measured_against() -> None:
    pytest.importorskip("transformers")
    assert [row["note"] for row in rows_of("gpt.py")] == ["the same ids", "the same loss"]


@pytest.mark.full
def test_every_reference_agrees_on_the_device_in_float32_and_bfloat16_with_the_cpu_in_float64() -> None:
    found = found_by("gpu.py", "--device", "cpu")
    rows = found["rows"]
    assert [row for row in rows if row["wrong"]] == []
    assert {row["dtype"] for row in rows} == {"float32", "bfloat16"}
    assert all(row["tokens_per_second"] > 0 for row in found["measured"])
