"""A valid solution, written from the handout alone by somebody who had not seen the reference."""

from __future__ import annotations

import heapq
import json
import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from itertools import chain, pairwise

import regex

Pair = tuple[bytes, bytes]  # two neighbouring tokens

# Radford et al. (2019), encoder.py: contractions, letters, numbers, other signs, white space.
# A word takes the one space before it; of a longer run of white space all but the last character stays behind.
GPT2_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

_PRETOKEN = regex.compile(GPT2_PATTERN)
_BYTES = [bytes([byte]) for byte in range(256)]
_COMPLEMENT = bytes(range(255, -1, -1))
_CACHE_SIZE = 2**16  # pretokens


@lru_cache
def _special_pattern(special_tokens: tuple[str, ...]) -> regex.Pattern[str] | None:
    if not special_tokens:
        return None
    return regex.compile("|".join(map(regex.escape, sorted(special_tokens, key=len, reverse=True))))


def pretokenize(text: str) -> list[str]:
    return _PRETOKEN.findall(text)


def split_on_special(text: str, special_tokens: Sequence[str]) -> list[tuple[str, bool]]:
    pattern = _special_pattern(tuple(special_tokens))
    if pattern is None:
        return [(text, False)] if text else []
    pieces = []
    start = 0
    for match in pattern.finditer(text):
        if match.start() > start:
            pieces.append((text[start : match.start()], False))
        pieces.append((match.group(), True))
        start = match.end()
    if start < len(text):
        pieces.append((text[start:], False))
    return pieces


def count_pairs(words: Mapping[tuple[bytes, ...], int]) -> dict[Pair, int]:
    counts: dict[Pair, int] = {}
    for word, n in words.items():
        for pair in pairwise(word):
            counts[pair] = counts.get(pair, 0) + n
    return counts


def merge_pair(tokens: Sequence[bytes], pair: Pair) -> list[bytes]:
    first, second = pair
    merged = []
    i = 0
    while i < len(tokens):
        if tokens[i] == first and i + 1 < len(tokens) and tokens[i + 1] == second:
            merged.append(first + second)
            i += 2
        else:
            merged.append(tokens[i])
            i += 1
    return merged


def count_pretokens(texts: Iterable[str], special_tokens: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        for piece, is_special in split_on_special(text, special_tokens):
            if not is_special:
                counts.update(pretokenize(piece))
    return counts


def count_in_parallel(texts: Iterable[str], special_tokens: Sequence[str], n_workers: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    texts = iter(texts)
    with ProcessPoolExecutor(n_workers) as pool:
        waiting: deque[Future[Counter[str]]] = deque()
        while batch := _about_a_megabyte(texts):
            waiting.append(pool.submit(count_pretokens, batch, special_tokens))
            if len(waiting) > 2 * n_workers:  # no further ahead than keeps every worker busy
                counts.update(waiting.popleft().result())
        for result in waiting:
            counts.update(result.result())
    return counts


def _about_a_megabyte(texts: Iterator[str]) -> list[str]:
    batch: list[str] = []
    size = 0
    while size < 10**6 and (text := next(texts, None)) is not None:
        batch.append(text)
        size += len(text)
    return batch


def train_bpe(
    corpus: str | Iterable[str], vocab_size: int, special_tokens: Sequence[str] = (), n_workers: int = 1
) -> tuple[dict[int, bytes], list[Pair]]:
    n_merges = vocab_size - 256 - len(special_tokens)
    if n_merges < 0:
        raise ValueError(f"vocab_size={vocab_size} is less than 256 + {len(special_tokens)} special tokens")
    texts = [corpus] if isinstance(corpus, str) else corpus
    if n_workers > 1:
        pretokens = count_in_parallel(texts, special_tokens, n_workers)
    else:
        pretokens = count_pretokens(texts, special_tokens)
    merges = _learn_merges(pretokens, n_merges)
    tokens = chain(_BYTES, (a + b for a, b in merges), (token.encode() for token in special_tokens))
    return dict(enumerate(tokens)), merges


def _learn_merges(pretokens: Mapping[str, int], n_merges: int) -> list[Pair]:
    tokens: list[bytes | None] = []  # None: merged into the token before it
    before: list[int] = []  # the place of the neighbour, -1 at the border of a word
    after: list[int] = []
    weights: list[int] = []
    counts: defaultdict[Pair, int] = defaultdict(int)
    places: defaultdict[Pair, list[int]] = defaultdict(list)
    for pretoken, n in pretokens.items():
        word = [_BYTES[byte] for byte in pretoken.encode()]
        start, end = len(tokens), len(tokens) + len(word)
        for i, pair in enumerate(pairwise(word), start):
            counts[pair] += n
            places[pair].append(i)
        tokens += word
        before += [-1, *range(start, end - 1)]
        after += [*range(start + 1, end), -1]
        weights += [n] * len(word)

    heap = [_entry(pair, n) for pair, n in counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        negative, _, _, pair = heapq.heappop(heap)
        count = counts.get(pair, 0)
        if count != -negative:
            if 0 < count < -negative:
                heapq.heappush(heap, _entry(pair, count))
            continue
        merges.append(pair)
        first, second = pair
        joined = first + second
        gained: set[Pair] = set()
        for i in sorted(places.pop(pair)):
            j = after[i]
            if j < 0 or tokens[i] != first or tokens[j] != second:
                continue
            n, left, right = weights[i], before[i], after[j]
            if left >= 0:
                _lose(counts, (tokens[left], first), n)
                new = (tokens[left], joined)
                counts[new] += n
                places[new].append(left)
                gained.add(new)
            if right >= 0:
                _lose(counts, (second, tokens[right]), n)
                new = (joined, tokens[right])
                counts[new] += n
                places[new].append(i)
                gained.add(new)
                before[right] = i
            tokens[i], tokens[j] = joined, None
            after[i] = right
        counts.pop(pair, None)
        for new in gained:
            if new in counts:
                heapq.heappush(heap, _entry(new, counts[new]))
    return merges


def _lose(counts: dict[Pair, int], pair: Pair, n: int) -> None:
    counts[pair] -= n
    if counts[pair] == 0:
        del counts[pair]


def _entry(pair: Pair, count: int) -> tuple[int, str, str, Pair]:
    return -count, _descending(pair[0]), _descending(pair[1]), pair


@lru_cache(2**16)
def _descending(token: bytes) -> str:
    return token.translate(_COMPLEMENT).decode("latin-1") + "\u0100"


class Tokenizer:
    def __init__(self, vocab: dict[int, bytes], merges: list[Pair], special_tokens: Sequence[str] = ()) -> None:
        self.vocab = dict(vocab)
        self.merges = list(merges)
        self.special_tokens = list(special_tokens)
        known = set(self.vocab.values())
        next_id = max(self.vocab, default=-1) + 1
        for special in self.special_tokens:
            token = special.encode()
            if token not in known:
                known.add(token)
                self.vocab[next_id] = token
                next_id += 1
        self._ids: dict[bytes, int] = {}
        for i in sorted(self.vocab):
            self._ids.setdefault(self.vocab[i], i)
        self._ranks: dict[Pair, int] = {}
        for rank, (a, b) in enumerate(self.merges):
            self._ranks.setdefault((a, b), rank)
        self._beginnings = {special[:n] for special in self.special_tokens for n in range(1, len(special))}
        self._longest_special = max(map(len, self.special_tokens), default=0)
        self._cache: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece, is_special in split_on_special(text, self.special_tokens):
            if is_special:
                ids.append(self._ids[piece.encode()])
            else:
                for pretoken in pretokenize(piece):
                    ids.extend(self._encode_pretoken(pretoken))
        return ids

    def _encode_pretoken(self, pretoken: str) -> tuple[int, ...]:
        ids = self._cache.get(pretoken)
        if ids is None:
            ids = tuple([self._ids[token] for token in self._merge(pretoken.encode())])
            if len(pretoken) <= 64:
                if len(self._cache) >= _CACHE_SIZE:
                    self._cache.clear()
                self._cache[pretoken] = ids
        return ids

    def _merge(self, data: bytes) -> list[bytes]:
        tokens: list[bytes | None] = [_BYTES[byte] for byte in data]  # None: merged into the token before it
        before = list(range(-1, len(tokens) - 1))
        after = [*range(1, len(tokens)), -1]
        heap = [(self._ranks[pair], i) for i, pair in enumerate(pairwise(tokens)) if pair in self._ranks]
        heapq.heapify(heap)
        while heap:
            rank, i = heapq.heappop(heap)
            j = after[i]
            if j < 0 or (tokens[i], tokens[j]) != tuple(self.merges[rank]):
                continue
            tokens[i], tokens[j] = tokens[i] + tokens[j], None
            left, right = before[i], after[j]
            after[i] = right
            if right >= 0:
                before[right] = i
                self._push(heap, (tokens[i], tokens[right]), i)
            if left >= 0:
                self._push(heap, (tokens[left], tokens[i]), left)
        return [token for token in tokens if token is not None]

    def _push(self, heap: list[tuple[int, int]], pair: Pair, place: int) -> None:
        rank = self._ranks.get(pair)
        if rank is not None:
            heapq.heappush(heap, (rank, place))

    def _open_special(self, text: str, start: int) -> int:
        for i in range(max(start, len(text) - self._longest_special + 1), len(text)):
            if text[i:] in self._beginnings:
                return i
        return len(text)

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        pattern = _special_pattern(tuple(self.special_tokens))
        rest = ""  # begins where a pretoken or a special token begins
        for chunk in chunks:
            rest += chunk
            start = 0
            while True:
                settled = self._open_special(rest, start)
                match = pattern.search(rest, start) if pattern else None
                if match is None or match.start() >= settled:
                    break
                for pretoken in _PRETOKEN.finditer(rest, start, match.start()):
                    yield from self._encode_pretoken(pretoken.group())
                yield self._ids[match.group().encode()]
                start = match.end()
            held: deque[str] = deque()
            for pretoken in _PRETOKEN.finditer(rest, start, settled):
                held.append(pretoken.group())
                if len(held) > 2:
                    settled_pretoken = held.popleft()
                    start += len(settled_pretoken)
                    yield from self._encode_pretoken(settled_pretoken)
            rest = rest[start:]
        yield from self.encode(rest)

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join([self.vocab[i] for i in ids]).decode("utf-8", errors="replace")

    def save(self, path: str | os.PathLike[str]) -> None:
        content = {
            "vocab": {i: token.hex() for i, token in self.vocab.items()},
            "merges": [[a.hex(), b.hex()] for a, b in self.merges],
            "special_tokens": self.special_tokens,
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        vocab = {int(i): bytes.fromhex(token) for i, token in content["vocab"].items()}
        merges = [(bytes.fromhex(a), bytes.fromhex(b)) for a, b in content["merges"]]
        return cls(vocab, merges, content["special_tokens"])


def compression_ratio(tokenizer: Tokenizer, text: str) -> float:
    if not text:
        return 0.0
    return len(text.encode()) / len(tokenizer.encode(text))
