"""Recounts all words before every merge, merges one occurrence at a time, and scans for special tokens by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import regex

GPT2_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
# Possessive quantifiers give the same matches.
WORD = regex.compile(r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""")


def pretokenize(text):
    out = []
    for match in WORD.finditer(text):
        out.append(match[0])
    return out


def find_special(text, start, special_tokens):
    """The first special token from `start` on, the longest at its place; (place, token) or None."""
    hits = []
    for token in special_tokens:
        place = text.find(token, start)
        if place >= 0:
            hits.append((place, -len(token), token))
    if not hits:
        return None
    place, _, token = min(hits)
    return place, token


def split_on_special(text, special_tokens):
    out, start = [], 0
    while (hit := find_special(text, start, special_tokens)) is not None:
        place, token = hit
        if place > start:
            out.append((text[start:place], False))
        out.append((token, True))
        start = place + len(token)
    if start < len(text):
        out.append((text[start:], False))
    return out


def count_pairs(words: Mapping[tuple[bytes, ...], int]):
    counts = Counter()
    for word, n in words.items():
        for pair, times in Counter(pairwise(word)).items():
            counts[pair] += n * times
    return counts


def merge_pair(tokens: Sequence[bytes], pair):
    tokens = list(tokens)
    i = 0
    while i + 1 < len(tokens):
        if tokens[i] == pair[0] and tokens[i + 1] == pair[1]:
            tokens[i : i + 2] = [pair[0] + pair[1]]
        i += 1
    return tokens


def train_bpe(corpus: str | Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()):
    if vocab_size < 256 + len(special_tokens):
        raise ValueError("vocab_size is too small")
    vocab = {i: bytes((i,)) for i in range(256)}
    words = Counter()
    for text in (corpus,) if isinstance(corpus, str) else corpus:
        for piece, special in split_on_special(text, special_tokens):
            if special:
                continue
            for word in pretokenize(piece):
                words[tuple(bytes((b,)) for b in word.encode("utf-8"))] += 1
    merges = []
    while len(vocab) + len(special_tokens) < vocab_size:
        counts = count_pairs(words)
        if not counts:
            break
        top = max(counts.values())
        best = max(pair for pair, n in counts.items() if n == top)
        merges.append(best)
        vocab[len(vocab)] = best[0] + best[1]
        after = Counter()
        for word, n in words.items():
            after[tuple(merge_pair(word, best))] += n
        words = after
    for token in special_tokens:
        vocab[len(vocab)] = token.encode("utf-8")
    return vocab, merges


class Tokenizer:
    def __init__(self, vocab, merges, special_tokens=()):
        self.token_of = dict(vocab)
        self.rank = {}
        for pair in merges:
            if pair not in self.rank:
                self.rank[pair] = len(self.rank)
        self.special = list(special_tokens)
        self.id_of = {}
        for i in sorted(self.token_of, reverse=True):
            self.id_of[self.token_of[i]] = i
        for token in self.special:
            if token.encode() not in self.id_of:
                new = len(self.token_of)
                self.token_of[new] = token.encode()
                self.id_of[token.encode()] = new

    def _word(self, word):
        tokens = [bytes((b,)) for b in word.encode()]
        while True:
            best, place = None, -1
            for i in range(len(tokens) - 1):
                rank = self.rank.get((tokens[i], tokens[i + 1]))
                if rank is not None and (best is None or rank < best):
                    best, place = rank, i
            if best is None:
                return [self.id_of[token] for token in tokens]
            tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]

    def encode(self, text):
        ids = []
        for piece, special in split_on_special(text, self.special):
            if special:
                ids.append(self.id_of[piece.encode()])
                continue
            for word in pretokenize(piece):
                ids += self._word(word)
        return ids

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        held = ""
        for chunk in chunks:
            held += chunk
            while True:
                # Where the first special token may still begin that is not whole yet.
                open_at = len(held)
                for i in range(len(held)):
                    if any(len(t) > len(held) - i and t.startswith(held[i:]) for t in self.special):
                        open_at = i
                        break
                hit = find_special(held, 0, self.special)
                if hit is None or hit[0] >= open_at:
                    break
                yield from self.encode(held[: hit[0] + len(hit[1])])
                held = held[hit[0] + len(hit[1]) :]
            words = pretokenize(held[:open_at])[:-2]
            for word in words:
                yield from self._word(word)
            held = held[sum(len(word) for word in words) :]
        yield from self.encode(held)

    def decode(self, ids):
        data = bytearray()
        for i in ids:
            data += self.token_of[i]
        return str(bytes(data), "utf-8", "replace")

    def save(self, path):
        merges = [[a.decode("latin-1"), b.decode("latin-1")] for a, b in self.rank]
        vocab = [[i, token.decode("latin-1")] for i, token in self.token_of.items()]
        with open(path, "w", encoding="utf-8") as f:
            f.write(json.dumps([vocab, merges, self.special]))

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            vocab, merges, special = json.loads(f.read())
        return cls(
            {i: token.encode("latin-1") for i, token in vocab},
            [(a.encode("latin-1"), b.encode("latin-1")) for a, b in merges],
            special,
        )


def compression_ratio(tokenizer, text):
    if text == "":
        return 0.0
    return len(text.encode("utf-8")) / len(tokenizer.encode(text))
