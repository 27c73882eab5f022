"""The reference tokenizer where the hidden suite cannot look: a sandbox forks no processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from autograder.course import open_course
from autograder.given import corpus
from autograder.given.experiment import load

bpe: Any = load("bpe", open_course().assignment("bpe").solution)
SPECIAL = ["<|end|>", "the"]


def texts(n: int = 40) -> Iterator[str]:
    return (" ".join(" ".join(document) for document in corpus.generated(200, seed)) for seed in range(n))


@pytest.mark.parametrize("special_tokens", [[], SPECIAL])
def test_workers_change_no_merge(special_tokens: list[str]) -> None:
    alone = bpe.train_bpe(texts(), 300, special_tokens)
    assert bpe.train_bpe(texts(), 300, special_tokens, n_workers=2) == alone
    assert len(alone[1]) == 300 - 256 - len(special_tokens)


def test_workers_are_never_far_behind_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def stream() -> Iterator[str]:
        nonlocal read
        for text in ["word and more " * 20_000] * 30:
            read += 1
            yield text

    done: list[int] = []
    counted = bpe.Counter.update
    monkeypatch.setattr(bpe.Counter, "update", lambda self, *more: (done.append(read), counted(self, *more))[1])
    bpe.count_in_parallel(stream(), [], n_workers=1)
    assert done[0] <= 3 * 4  # three batches of four texts


def test_an_empty_corpus_is_counted_in_parallel_too() -> None:
    assert bpe.train_bpe([], 300, n_workers=2) == bpe.train_bpe([], 300)
