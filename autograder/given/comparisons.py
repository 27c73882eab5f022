"""Preferences of real people, from files: pairs in the format of Anthropic's HH, rankings in lines of JSON.

Nothing here downloads anything. Whoever has such a set (https://github.com/anthropics/hh-rlhf, say) passes its path,
and gets what `train_reward_model` takes:

    rankings = read_hh("harmless-base/train.jsonl.gz")
    preferences = as_tensors(rankings, tokenizer.encode, max_length=256, pad_id=tokenizer.pad_id)
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from autograder.given.preferences import Preferences

ASSISTANT = "\n\nAssistant:"


class Ranking(NamedTuple):
    """Completions of one prompt; rank 0 is the best, equal ranks are a tie."""

    prompt: str
    completions: tuple[str, ...]
    ranks: tuple[int, ...]


def read_hh(path: str | os.PathLike[str]) -> list[Ranking]:
    """Read a `.jsonl` or `.jsonl.gz` of {"chosen": dialogue, "rejected": dialogue} (Bai et al. 2022).

    The prompt is what the two dialogues share, up to and including the last "Assistant:" in it; the completions are the
    rest of each, the chosen one first. ValueError, with the number of the line, where a line is something else.
    """
    return [_hh(record, where) for record, where in _records(path)]


def read_jsonl(path: str | os.PathLike[str]) -> list[Ranking]:
    """Read a `.jsonl` or `.jsonl.gz` whose lines are of either of two forms, mixed at will.

        {"prompt": "...", "chosen": "...", "rejected": "..."}
        {"prompt": "...", "completions": ["...", "..."], "ranks": [1, 0]}

    ValueError, with the number of the line, where a line is something else.
    """
    return [_pair_or_ranking(record, where) for record, where in _records(path)]


def as_tensors(
    rankings: Sequence[Ranking], encode: Callable[[str], Sequence[int]], *, max_length: int, pad_id: int
) -> Preferences:
    """Encode prompts and completions, each by itself, and pad to the longest row, at most `max_length` tokens.

    Where a row is too long, the prompt loses its beginning; where a completion alone is, it loses its end. A prompt
    with fewer completions than the most repeats its first one at rank -1, which counts in no loss.
    """
    most = max(len(ranking.ranks) for ranking in rankings)
    rows: list[list[int]] = []
    ranks: list[list[int]] = []
    for ranking in rankings:
        prompt = list(encode(ranking.prompt))
        missing = most - len(ranking.ranks)
        for completion in ranking.completions + ranking.completions[:1] * missing:
            answer = list(encode(completion))[:max_length]
            room = max_length - len(answer)
            rows.append((prompt[-room:] if room else []) + answer)
            if not rows[-1]:
                raise ValueError(f"there is no token in a completion of {ranking.prompt!r}")
        ranks.append([*ranking.ranks, *[-1] * missing])
    longest = max(map(len, rows))
    input_ids = torch.tensor([row + [pad_id] * (longest - len(row)) for row in rows])
    real = torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None]
    shape = (len(rankings), most, longest)
    return Preferences(input_ids.view(shape), real.view(shape), torch.tensor(ranks))


# --- how it is done ---------------------------------------------------------------------------------------------------


def _records(path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each line that is not empty as a dict, and where it stands."""
    opened = gzip.open if Path(path).suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{Path(path).name}, line {number}"
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{where}: no JSON ({error})") from None
            if not isinstance(record, dict):
                raise ValueError(f"{where}: not an object with names, but {line.strip()[:40]}")
            yield record, where


def _texts(record: dict[str, Any], names: Sequence[str], where: str) -> list[str]:
    for name in names:
        if not isinstance(record.get(name), str):
            raise ValueError(f"{where}: there is no text called {name!r}")
    return [record[name] for name in names]


def _hh(record: dict[str, Any], where: str) -> Ranking:
    chosen, rejected = _texts(record, ("chosen", "rejected"), where)
    parted = next((i for i, (a, b) in enumerate(zip(chosen, rejected)) if a != b), min(len(chosen), len(rejected)))
    end = chosen.rfind(ASSISTANT, 0, parted) + len(ASSISTANT)
    if end < len(ASSISTANT):
        raise ValueError(f"{where}: the two dialogues share no turn of the assistant's")
    return Ranking(chosen[:end], (chosen[end:], rejected[end:]), (0, 1))


def _pair_or_ranking(record: dict[str, Any], where: str) -> Ranking:
    if "completions" not in record:
        prompt, chosen, rejected = _texts(record, ("prompt", "chosen", "rejected"), where)
        return Ranking(prompt, (chosen, rejected), (0, 1))
    (prompt,) = _texts(record, ("prompt",), where)
    completions, ranks = record["completions"], record.get("ranks")
    if not isinstance(completions, list) or not completions or not all(isinstance(text, str) for text in completions):
        raise ValueError(f"{where}: completions should be a list of texts")
    if (
        not isinstance(ranks, list)
        or len(ranks) != len(completions)
        or not all(type(rank) is int and rank >= 0 for rank in ranks)
    ):
        raise ValueError(f"{where}: ranks should be {len(completions)} whole numbers from 0 on, one a completion")
    return Ranking(prompt, tuple(completions), tuple(ranks))
