"""Text to learn from that every Python carries, and generated text that is the same on every Python.

The first kind changes with Python's minor version: it is for experiments. What must not move uses `generated`.
Nothing here imports the modules whose text it reads.
"""

from __future__ import annotations

import ast
import functools
import itertools
import random
import re
import sysconfig
import tokenize
import warnings
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


def topics() -> list[str]:
    """The topics of `help()`: about 80 texts, 0.5 MB of English about Python, in the order of their names."""
    from pydoc_data.topics import topics as by_name

    return [by_name[name] for name in sorted(by_name)]


@functools.cache
def _sources() -> tuple[str, ...]:
    root = Path(sysconfig.get_path("stdlib"))
    texts = []
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        if not _SKIPPED & set(path.relative_to(root).parts):
            try:
                with tokenize.open(path) as file:
                    texts.append(file.read())
            except (OSError, SyntaxError, UnicodeDecodeError):  # not readable, or not in the encoding that it names
                continue
    return tuple(texts)


def sources() -> list[str]:
    """The sources of the standard library without its tests: about 700 texts, 12 MB, in the order of their paths."""
    return list(_sources())


@functools.cache
def _docstrings() -> tuple[str, ...]:
    found = []
    for source in _sources():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in sources that are not ours
                tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        docs = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, nodes))
        found += [doc for doc in docs if doc]
    return tuple(found)


def docstrings() -> list[str]:
    """The docstrings of the standard library without its tests: about 8,600 texts, 1.8 MB. Takes some seconds, once."""
    return list(_docstrings())


def _paragraphs(text: str) -> Iterator[str]:
    return (" ".join(paragraph.split()) for paragraph in re.split(r"\n[ \t]*\n", text) if paragraph.strip())


def sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line. A sentence ends at `.`, `!` or `?` and a space, or with its paragraph.

    >>> sentences("One. Two\\nlines!\\n\\nA heading")
    ['One.', 'Two lines!', 'A heading']
    """
    return [sentence for paragraph in _paragraphs(text) for sentence in re.split(r"(?<=[.!?])\s+", paragraph)]


def documents(texts: Iterable[str]) -> list[list[str]]:
    """The paragraphs of at least two sentences, each as the list of its sentences."""
    found = (sentences(paragraph) for text in texts for paragraph in _paragraphs(text))
    return [document for document in found if len(document) > 1]


class _Draws:
    """Choices made from `random()` alone, the one stream of `random.Random` that no version of Python may change."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, n: int) -> int:
        return int(self._random() * n)

    def happens(self, probability: float) -> bool:
        return self._random() < probability

    def zipf(self, words: Sequence[str]) -> str:
        """Word number r with probability proportional to 1 / r (Zipf 1935)."""
        cumulative = _harmonic(len(words))
        return words[bisect(cumulative, self._random() * cumulative[-1])]


@functools.cache
def _harmonic(n: int) -> list[float]:
    return list(itertools.accumulate(1 / rank for rank in range(1, n + 1)))


@functools.cache
def _vocabulary() -> tuple[list[list[str]], list[str], list[str]]:
    """Nouns of 12 topics (30 each), 120 verbs and 120 adjectives: invented words of two or three syllables."""
    draws, seen = _Draws(0), set[str]()
    onsets = [*"bdfghklmnprstvz", "br", "dr", "gl", "kr", "pl", "st", "tr"]

    def word(ending: str) -> str:
        while True:
            syllables = (onsets[draws.below(len(onsets))] + "aeiou"[draws.below(5)] for _ in range(1 + draws.below(2)))
            made = "".join(syllables) + ending
            if made not in seen:
                seen.add(made)
                return made

    # Kinds of words end differently, so that no word is of two kinds.
    nouns = [[word("lnrtd"[draws.below(5)] + "o") for _ in range(30)] for _ in range(12)]
    return nouns, [word("mek") for _ in range(120)], [word("sil") for _ in range(120)]


def generated(n_documents: int, seed: int = 0) -> list[list[str]]:
    """Documents of 4 to 8 sentences from a small grammar; the same for a seed on every Python and every machine.

    The words are invented, their frequencies Zipf's. There is something to learn at every distance: adjectives stand
    before nouns, a verb agrees with the number of its subject ("the buno fimeks", "the bunos fimek"), a document
    keeps to the nouns of one of 12 topics, and often a sentence's subject is the object of the sentence before.
    """
    by_topic, verbs, adjectives = _vocabulary()
    draws = _Draws(seed)
    made = []
    for _ in range(n_documents):
        nouns = by_topic[draws.below(len(by_topic))]
        document, subject = [], draws.zipf(nouns)
        for _ in range(4 + draws.below(5)):
            plural, many = draws.happens(0.4), draws.happens(0.4)
            item = draws.zipf(nouns)
            words = ["the"]
            if draws.happens(0.4):
                words.append(draws.zipf(adjectives))
            words += [subject + "s" * plural, draws.zipf(verbs) + "s" * (not plural), "some" if many else "a"]
            if draws.happens(0.4):
                words.append(draws.zipf(adjectives))
            words.append(item + "s" * many)
            if draws.happens(0.3):
                words += [("in", "near", "without")[draws.below(3)], "the", draws.zipf(nouns)]
            document.append(" ".join(words).capitalize() + ("." if draws.happens(0.9) else "!"))
            subject = item if draws.happens(0.7) else draws.zipf(nouns)
        made.append(document)
    return made
