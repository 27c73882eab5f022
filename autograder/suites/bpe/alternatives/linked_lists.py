"""Integers inside: words as linked lists, pairs in buckets by their count, a heap for each word that is encoded."""

from __future__ import annotations

import base64
import heapq
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import regex

GPT2_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
_COMPILED = regex.compile(GPT2_PATTERN)


def pretokenize(text: str) -> list[str]:
    return _COMPILED.findall(text)


def split_on_special(text: str, special_tokens: Sequence[str]) -> list[tuple[str, bool]]:
    # Of special tokens that start at one place each begins with the next shorter: the greatest string is the longest.
    alternatives = "|".join(re.escape(token) for token in sorted(special_tokens, reverse=True))
    pieces: list[tuple[str, bool]] = []
    start = 0
    for match in re.finditer(alternatives, text) if alternatives else ():
        pieces += [(text[start : match.start()], False), (match.group(), True)]
        start = match.end()
    pieces.append((text[start:], False))
    return [piece for piece in pieces if piece[0]]


def count_pairs(words: Mapping[tuple[bytes, ...], int]) -> dict[tuple[bytes, bytes], int]:
    counts: dict[tuple[bytes, bytes], int] = {}
    for word in words:
        for i in range(1, len(word)):
            counts[word[i - 1], word[i]] = counts.get((word[i - 1], word[i]), 0) + words[word]
    return counts


def merge_pair(tokens: Sequence[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    # From the right, f(i) is the merged list of tokens[i:]; links instead of copies.
    merged: list[tuple[bytes, object]] = [(b"", None)] * (len(tokens) + 2)
    for i in reversed(range(len(tokens))):
        both = tuple(tokens[i : i + 2]) == pair
        merged[i] = (b"".join(pair), merged[i + 2]) if both else (tokens[i], merged[i + 1])
    result, link = [], merged[0]
    while link[1] is not None:
        result.append(link[0])
        link = link[1]
    return result


@dataclass(eq=False)
class Node:
    """One token of a word."""

    token: int
    weight: int
    left: Node | None = None
    right: Node | None = None
    dead: bool = False


@dataclass
class Buckets:
    """Pairs by count; `best` is the highest count that may have a pair."""

    tokens: list[bytes]
    count: dict[tuple[int, int], int] = field(default_factory=dict)
    by_count: dict[int, set[tuple[int, int]]] = field(default_factory=dict)
    # A dict for a set that keeps the order: occurrences from left to right.
    where: dict[tuple[int, int], dict[Node, None]] = field(default_factory=dict)

    def add(self, left: Node, right: Node) -> None:
        pair = (left.token, right.token)
        self._move(pair, left.weight)
        self.where.setdefault(pair, {})[left] = None

    def remove(self, left: Node, right: Node) -> None:
        pair = (left.token, right.token)
        self._move(pair, -left.weight)
        self.where[pair].pop(left, None)

    def _move(self, pair: tuple[int, int], change: int) -> None:
        old = self.count.get(pair, 0)
        if old:
            self.by_count[old].discard(pair)
            if not self.by_count[old]:
                del self.by_count[old]
        self.count[pair] = old + change
        if old + change:
            self.by_count.setdefault(old + change, set()).add(pair)

    def best(self) -> tuple[int, int] | None:
        if not self.by_count:
            return None
        return max(self.by_count[max(self.by_count)], key=lambda p: (self.tokens[p[0]], self.tokens[p[1]]))


def train_bpe(
    corpus: str | Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]:
    room = vocab_size - 256 - len(special_tokens)
    if room < 0:
        raise ValueError(f"{vocab_size} tokens do not hold the bytes and the special tokens")
    frequency: dict[str, int] = {}
    for text in [corpus] if isinstance(corpus, str) else corpus:
        for piece, special in split_on_special(text, special_tokens):
            for word in [] if special else pretokenize(piece):
                frequency[word] = frequency.get(word, 0) + 1

    tokens = [bytes([i]) for i in range(256)]
    buckets = Buckets(tokens)
    for word, weight in frequency.items():
        last = None
        for byte in word.encode():
            node = Node(byte, weight, last)
            if last is not None:
                last.right = node
                buckets.add(last, node)
            last = node

    merges: list[tuple[bytes, bytes]] = []
    while room and (pair := buckets.best()) is not None:
        room -= 1
        merges.append((tokens[pair[0]], tokens[pair[1]]))
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        for left in first_to_last(list(buckets.where[pair]), pair):
            right = left.right
            if left.dead or right is None or (left.token, right.token) != pair:
                continue
            buckets.remove(left, right)
            if left.left is not None:
                buckets.remove(left.left, left)
            if right.right is not None:
                buckets.remove(right, right.right)
            right.dead = True
            left.token, left.right = len(tokens) - 1, right.right
            if left.right is not None:
                left.right.left = left
                buckets.add(left, left.right)
            if left.left is not None:
                buckets.add(left.left, left)
    tokens += [token.encode() for token in special_tokens]
    return dict(enumerate(tokens)), merges


def first_to_last(nodes: list[Node], pair: tuple[int, int]) -> list[Node]:
    """Only in runs of one token the order matters; there every run is walked from its first node."""
    if pair[0] != pair[1]:
        return nodes
    ordered = []
    for node in nodes:
        if node.left is None or node.left.token != node.token:
            while node is not None and node.token == pair[0]:
                ordered.append(node)
                node = node.right
    return ordered


class Tokenizer:
    def __init__(
        self, vocab: dict[int, bytes], merges: list[tuple[bytes, bytes]], special_tokens: Sequence[str] = ()
    ) -> None:
        self._bytes = dict(vocab)
        self._merges = list(merges)
        self._special = tuple(special_tokens)
        new = (token.encode() for token in self._special if token.encode() not in set(self._bytes.values()))
        self._bytes |= dict(enumerate(new, start=max(self._bytes) + 1))
        self._id = {token: i for i, token in self._bytes.items()}
        self._rank = {pair: rank for rank, pair in reversed(list(enumerate(self._merges)))}
        self._known: dict[bytes, list[int]] = {}

    def _encode_word(self, word: bytes) -> list[int]:
        if word in self._known:
            return list(self._known[word])
        parts: list[bytes | None] = [word[i : i + 1] for i in range(len(word))]
        right = list(range(1, len(word) + 1))
        left = list(range(-1, len(word) - 1))
        heap: list[tuple[int, int, bytes, bytes]] = []

        def offer(i: int) -> None:
            if i >= 0 and right[i] < len(parts):
                pair = (parts[i], parts[right[i]])
                if pair in self._rank:
                    heapq.heappush(heap, (self._rank[pair], i, *pair))

        for i in range(len(word)):
            offer(i)
        while heap:
            _, i, a, b = heapq.heappop(heap)
            j = right[i]
            if parts[i] != a or j >= len(parts) or parts[j] != b:
                continue
            parts[i], parts[j] = a + b, None
            right[i] = right[j]
            if right[j] < len(parts):
                left[right[j]] = i
            offer(left[i])
            offer(i)
        self._known[word] = [self._id[part] for part in parts if part is not None]
        return list(self._known[word])

    def _encode_piece(self, piece: str, special: bool) -> Iterator[int]:
        if special:
            yield self._id[piece.encode()]
        else:
            for word in pretokenize(piece):
                yield from self._encode_word(word.encode())

    def encode(self, text: str) -> list[int]:
        pieces = split_on_special(text, self._special)
        return [i for piece, special in pieces for i in self._encode_piece(piece, special)]

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        return Stream(self, chunks)

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join([self._bytes[i] for i in ids]).decode(errors="replace")

    def save(self, path: str | os.PathLike[str]) -> None:
        def text(data: bytes) -> str:
            return base64.b64encode(data).decode()

        Path(path).write_text(
            json.dumps(
                {
                    "special": self._special,
                    "merges": [[text(a), text(b)] for a, b in self._merges],
                    "vocab": {str(i): text(token) for i, token in self._bytes.items()},
                }
            )
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        state = json.loads(Path(path).read_text())
        vocab = {int(i): base64.b64decode(token) for i, token in state["vocab"].items()}
        return cls(vocab, [(base64.b64decode(a), base64.b64decode(b)) for a, b in state["merges"]], state["special"])


class Stream:
    """The ids of a text that comes in chunks; holds back two pretokens, and what may be a special token's beginning."""

    def __init__(self, tokenizer: Tokenizer, chunks: Iterable[str]) -> None:
        self._tokenizer, self._chunks = tokenizer, iter(chunks)
        self._text, self._ids, self._end = "", iter(()), False

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> int:
        while True:
            for i in self._ids:
                return i
            if self._end:
                raise StopIteration
            self._ids = iter(self._more())

    def _more(self) -> list[int]:
        chunk = next(self._chunks, None)
        if chunk is None:
            self._end = True
            return self._tokenizer.encode(self._text)
        self._text += chunk
        ids: list[int] = []
        done = 0
        for piece, special in split_on_special(self._text, self._tokenizer._special):
            if self._may_begin(done):
                break
            if special:
                ids += self._tokenizer._encode_piece(piece, True)
                done += len(piece)
                continue
            end = done + len(piece)
            stop = next((i for i in range(done, end) if self._may_begin(i)), end)
            words = pretokenize(self._text[done:stop])
            whole = stop == end < len(self._text) and not self._may_begin(end)
            for word in words if whole else words[:-2]:
                ids += self._tokenizer._encode_word(word.encode())
                done += len(word)
            if not whole:
                break
        self._text = self._text[done:]
        return ids

    def _may_begin(self, place: int) -> bool:
        """Whether the text from `place` on is the beginning of a special token that is not whole yet."""
        rest = len(self._text) - place
        return any(len(token) > rest and token.startswith(self._text[place:]) for token in self._tokenizer._special)


def compression_ratio(tokenizer: Tokenizer, text: str) -> float:
    return len(text.encode()) / max(1, len(tokenizer.encode(text)))
