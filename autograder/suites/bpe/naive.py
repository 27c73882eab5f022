"""Slow and obvious versions of everything that the hidden tests compare with: they share no idea with the reference."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterable, Mapping, Sequence

import regex

Pair = tuple[bytes, bytes]

GPT2_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def pretokenize(text: str) -> list[str]:
    return [match.group() for match in regex.finditer(GPT2_PATTERN, text)]


def split_on_special(text: str, special_tokens: Sequence[str]) -> list[tuple[str, bool]]:
    """At every place the longest special token that starts there, or else one more character of text."""
    pieces: list[tuple[str, bool]] = []
    place = 0
    while place < len(text):
        found = max((s for s in special_tokens if text.startswith(s, place)), key=len, default="")
        if found:
            pieces.append((found, True))
        elif pieces and not pieces[-1][1]:
            pieces[-1] = (pieces[-1][0] + text[place], False)
        else:
            pieces.append((text[place], False))
        place += len(found) or 1
    return pieces


def count_pairs(words: Mapping[tuple[bytes, ...], int]) -> dict[Pair, int]:
    pairs = [(word[i], word[i + 1]) for word in words for i in range(len(word) - 1)]
    return {
        pair: sum(n * [(word[i], word[i + 1]) for i in range(len(word) - 1)].count(pair) for word, n in words.items())
        for pair in pairs
    }


def merge_pair(tokens: Sequence[bytes], pair: Pair) -> list[bytes]:
    """Takes one token or two from the front, again and again."""
    merged: list[bytes] = []
    rest = list(tokens)
    while rest:
        if tuple(rest[:2]) == pair:
            merged, rest = [*merged, pair[0] + pair[1]], rest[2:]
        else:
            merged, rest = [*merged, rest[0]], rest[1:]
    return merged


def words_of(corpus: str | Iterable[str], special_tokens: Sequence[str] = ()) -> list[tuple[bytes, ...]]:
    """Every pretoken of the corpus, as single bytes, as often as it occurs."""
    return [
        tuple(bytes([byte]) for byte in pretoken.encode())
        for text in ([corpus] if isinstance(corpus, str) else corpus)
        for piece, special in split_on_special(text, special_tokens)
        if not special
        for pretoken in pretokenize(piece)
    ]


def pair_counts(words: Iterable[Sequence[bytes]]) -> dict[Pair, int]:
    """The counts of the pairs in a list of words, one by one."""
    counts: dict[Pair, int] = {}
    for word in words:
        for pair in itertools.pairwise(word):
            counts[pair] = counts.get(pair, 0) + 1
    return counts


def train(
    corpus: str | Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[Pair]]:
    """Counts everything anew before every merge."""
    words = words_of(corpus, special_tokens)
    merges: list[Pair] = []
    while len(merges) < vocab_size - 256 - len(special_tokens):
        counts = pair_counts(words)
        if not counts:
            break
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        words = [tuple(merge_pair(word, merges[-1])) for word in words]
    tokens = [bytes([byte]) for byte in range(256)] + [a + b for a, b in merges] + [s.encode() for s in special_tokens]
    return dict(enumerate(tokens)), merges


def encode_word(word: Sequence[bytes], merges: Sequence[Pair]) -> list[bytes]:
    """Replays every merge of the list, in order: the same as lowest rank first for merges that were learned."""
    tokens = list(word)
    for pair in merges:
        tokens = merge_pair(tokens, pair)
    return tokens


def encode(
    text: str, vocab: Mapping[int, bytes], merges: Sequence[Pair], special_tokens: Sequence[str] = ()
) -> list[int]:
    ids = {token: i for i, token in vocab.items()}
    for special in special_tokens:
        ids.setdefault(special.encode(), len(ids))
    out: list[int] = []
    for piece, special in split_on_special(text, special_tokens):
        if special:
            out.append(ids[piece.encode()])
        else:
            for word in words_of(piece):
                out += [ids[token] for token in encode_word(word, merges)]
    return out


def decode(ids: Sequence[int], vocab: Mapping[int, bytes]) -> str:
    """Feeds the bytes to an incremental decoder, one at a time."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    data = b"".join(vocab[i] for i in ids)
    return "".join(decoder.decode(data[i : i + 1]) for i in range(len(data))) + decoder.decode(b"", final=True)
