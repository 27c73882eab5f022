"""A byte-level byte-pair-encoding tokenizer: training, encoding, decoding.

The algorithm is the one of Sennrich et al. (2016, arXiv:1508.07909, algorithm 1), after Gage (1994), on UTF-8 bytes
as in GPT-2 (Radford et al. 2019, section 2.2). It is not a wrapper around a library: the only import that does work
for you is `regex`, because GPT-2's pattern needs the Unicode classes that the standard `re` lacks.
"""

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


def pretokenize(text: str) -> list[str]:
    """The pretokens of `text`: all matches of `GPT2_PATTERN`, left to right. No merge ever crosses their borders.

    Nothing is lost or changed: the pretokens joined are `text`, and none is empty.

    >>> pretokenize("I'll  go!\\r\\n")
    ['I', "'ll", ' ', ' go', '!', '\\r\\n']
    """
    ### BEGIN SOLUTION
    return regex.findall(GPT2_PATTERN, text)
    ### END SOLUTION


def split_on_special(text: str, special_tokens: Sequence[str]) -> list[tuple[str, bool]]:
    """`text` cut at its special tokens, as pairs (piece, is it a special token).

    The text is read from left to right; where several special tokens start at one place, the longest is taken. No piece
    is empty, text pieces are never neighbours, and the pieces joined are `text`. `special_tokens` are plain non-empty
    strings, in any order; with none of them a text is one piece.

    >>> split_on_special("a<|end|>b", ["<|end|>"])
    [('a', False), ('<|end|>', True), ('b', False)]
    >>> split_on_special("a<|end|>b", [])
    [('a<|end|>b', False)]
    """
    ### BEGIN SOLUTION
    if not special_tokens:
        return [(text, False)] if text else []
    # An alternation takes the first branch that matches, so the longest must come first.
    pattern = "|".join(map(regex.escape, sorted(special_tokens, key=len, reverse=True)))
    pieces = regex.split(f"({pattern})", text)  # text, special, text, special, ..., text
    return [(piece, i % 2 == 1) for i, piece in enumerate(pieces) if piece]
    ### END SOLUTION


def count_pairs(words: Mapping[tuple[bytes, ...], int]) -> dict[Pair, int]:
    """How often each pair of neighbouring tokens occurs in `words`, a mapping word -> number of times it occurs.

    A word is a tuple of tokens. Occurrences may overlap, and no pair reaches from one word into another.

    >>> count_pairs({(b"a", b"a", b"a"): 5, (b"a", b"b"): 1})
    {(b'a', b'a'): 10, (b'a', b'b'): 1}
    """
    ### BEGIN SOLUTION
    counts: dict[Pair, int] = defaultdict(int)
    for word, n in words.items():
        for pair in pairwise(word):
            counts[pair] += n
    return dict(counts)
    ### END SOLUTION


def merge_pair(tokens: Sequence[bytes], pair: Pair) -> list[bytes]:
    """`tokens` with each occurrence of `pair` replaced by one token, from left to right and without overlap.

    >>> merge_pair([b"a", b"a", b"a"], (b"a", b"a"))
    [b'aa', b'a']
    """
    ### BEGIN SOLUTION
    left, right = pair
    merged: list[bytes] = []
    for token in tokens:
        if token == right and merged and merged[-1] == left:
            merged[-1] = left + right  # longer than `left`, so it is not merged again
        else:
            merged.append(token)
    return merged
    ### END SOLUTION


def count_pretokens(texts: Iterable[str], special_tokens: Sequence[str]) -> Counter[str]:
    """How often each pretoken occurs in `texts`. Special tokens cut a text, and do not count.

    A step of `train_bpe`, and not tested by itself. It reads `texts` once and keeps none of them.

    >>> count_pretokens(["a b<|end|>a", " b"], ["<|end|>"])
    Counter({'a': 2, ' b': 2})
    """
    ### BEGIN SOLUTION
    counts: Counter[str] = Counter()
    for text in texts:
        for piece, is_special in split_on_special(text, special_tokens):
            if not is_special:
                counts.update(pretokenize(piece))
    return counts
    ### END SOLUTION


def count_in_parallel(texts: Iterable[str], special_tokens: Sequence[str], n_workers: int) -> Counter[str]:
    """`count_pretokens` of any number of texts, read as they are needed, in `n_workers` processes. Given to you.

    It pays above some 20 MB: the texts travel to the workers and their counts back. Memory holds a few batches of text
    and one entry for each distinct pretoken, however long the corpus is.
    """
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
    """The next texts, until they have a million characters."""
    batch: list[str] = []
    size = 0
    while size < 10**6 and (text := next(texts, None)) is not None:
        batch.append(text)
        size += len(text)
    return batch


def train_bpe(
    corpus: str | Iterable[str], vocab_size: int, special_tokens: Sequence[str] = (), n_workers: int = 1
) -> tuple[dict[int, bytes], list[Pair]]:
    """Learn a vocabulary of at most `vocab_size` tokens (Sennrich et al. 2016, algorithm 1).

    `corpus` is one text or an iterable of texts, read once and in order; no pretoken reaches from one text into the
    next. Special tokens in a text cut it there, and add nothing to the counts. Every step merges the pair with the
    highest count; ties go to the greatest pair of byte strings, `max(counts, key=lambda p: (counts[p], p))`, so
    of ("BA", "A") and ("B", "ZZ") the first. Training ends early, without an error, when no pair is left.

    Returns `vocab` and `merges`. `merges` has the pairs in the order in which they were learned. `vocab` maps ids to
    byte strings: id i < 256 is the byte i, id 256 + k the token of merge k (from 0), and the special tokens come last,
    in their order. They are distinct and have at least two bytes each.

    With `n_workers` above 1, `count_in_parallel` counts the pretokens; that changes the time and nothing else.

    Raises ValueError if `vocab_size` is less than 256 + len(special_tokens).

    >>> vocab, merges = train_bpe("abab", vocab_size=258)
    >>> merges
    [(b'a', b'b'), (b'ab', b'ab')]
    >>> vocab[256], vocab[257]
    (b'ab', b'abab')
    """
    ### BEGIN SOLUTION
    n_merges = vocab_size - 256 - len(special_tokens)
    if n_merges < 0:
        raise ValueError(f"vocab_size {vocab_size} is too small for 256 bytes and {len(special_tokens)} special tokens")

    texts = [corpus] if isinstance(corpus, str) else corpus
    if n_workers > 1:
        pretokens = count_in_parallel(texts, special_tokens, n_workers)
    else:
        pretokens = count_pretokens(texts, special_tokens)
    words = [[bytes([b]) for b in pretoken.encode()] for pretoken in pretokens]
    frequencies = list(pretokens.values())

    counts: dict[Pair, int] = defaultdict(int)
    places: dict[Pair, set[int]] = defaultdict(set)  # pair -> the words that hold it, or once did
    for w, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += frequencies[w]
            places[pair].add(w)

    # heapq pops the smallest entry, so counts are negated and bytes complemented. The end mark is above all bytes: it
    # puts a token after those that it begins.
    complement = bytes(range(255, -1, -1))

    def entry(pair: Pair) -> tuple[int, str, Pair]:
        key = "".join(token.translate(complement).decode("latin-1") + "\u0100" for token in pair)
        return -counts[pair], key, pair

    heap = [entry(pair) for pair in counts]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        negative_count, _, pair = heapq.heappop(heap)
        if -negative_count != counts[pair]:  # fallen since the entry was made: it goes back with its count of now
            if counts[pair] > 0:
                heapq.heappush(heap, entry(pair))
            continue
        merges.append(pair)
        left, right = pair
        new = left + right
        change: dict[Pair, int] = defaultdict(int)
        for w in places.pop(pair):
            word, n = words[w], frequencies[w]
            i = 0
            while i < len(word) - 1:
                if word[i] == left and word[i + 1] == right:
                    if i > 0:  # the neighbour may be a `new` of a moment ago
                        change[word[i - 1], left] -= n
                        change[word[i - 1], new] += n
                        places[word[i - 1], new].add(w)
                    if i + 2 < len(word):
                        change[right, word[i + 2]] -= n
                        change[new, word[i + 2]] += n
                        places[new, word[i + 2]].add(w)
                    word[i : i + 2] = [new]
                i += 1
        for p, n in change.items():
            counts[p] += n
            if n > 0:  # only pairs with the new token gain; all other entries can wait until they are popped
                heapq.heappush(heap, entry(p))
        counts[pair] = 0

    tokens = [bytes([b]) for b in range(256)] + [a + b for a, b in merges] + [s.encode() for s in special_tokens]
    return dict(enumerate(tokens)), merges
    ### END SOLUTION


class Tokenizer:
    """Text to ids and back with a vocabulary and merges as `train_bpe` returns them.

    A special token that is not in `vocab` is appended to it with the next free id, in the order of `special_tokens`.
    If a pair is twice in `merges`, its first place counts.

    >>> Tokenizer({i: bytes([i]) for i in range(256)}, [], special_tokens=["<|end|>"]).encode("a<|end|>")
    [97, 256]
    """

    def __init__(self, vocab: dict[int, bytes], merges: list[Pair], special_tokens: Sequence[str] = ()) -> None:
        self.vocab = dict(vocab)
        self.merges = list(merges)
        self.special_tokens = list(special_tokens)
        ### BEGIN SOLUTION
        self.ids = {token: i for i, token in self.vocab.items()}
        for special in self.special_tokens:
            token = special.encode()
            if token not in self.ids:
                self.ids[token] = max(self.vocab, default=-1) + 1
                self.vocab[self.ids[token]] = token
        ranks: dict[Pair, int] = {}
        for rank, pair in enumerate(self.merges):
            ranks.setdefault(pair, rank)
        never = len(self.merges)  # the rank of all other pairs
        merged = [left + right for left, right in self.merges]
        single = [bytes([b]) for b in range(256)]

        @lru_cache(maxsize=2**18)  # a text repeats its words, so most of them are a look-up
        def encode_unit(unit: str) -> list[int]:
            """The ids of one special token or pretoken; no pretoken is a special token, as those were cut out."""
            if unit in self.special_tokens:
                return [self.ids[unit.encode()]]
            tokens = [single[b] for b in unit.encode()]
            # known[i] is the rank of the pair that starts at token i; the last entry stands for the end.
            known = [ranks.get(pair, never) for pair in pairwise(tokens)] + [never]
            while (rank := min(known)) < never:
                i = known.index(rank)
                tokens[i : i + 2] = [new] = [merged[rank]]
                del known[i]
                if i > 0:
                    known[i - 1] = ranks.get((tokens[i - 1], new), never)
                if i + 1 < len(tokens):
                    known[i] = ranks.get((new, tokens[i + 1]), never)
            return [self.ids[token] for token in tokens]

        self.encode_unit = encode_unit
        ### END SOLUTION

    def encode(self, text: str) -> list[int]:
        """The ids of `text`.

        Special tokens are cut out first and give one id each. Every pretoken of the rest starts as its single UTF-8
        bytes; as long as one of its neighbouring pairs is in `merges`, the earliest learned of them is merged, leftmost
        first. (Taking a pair's occurrences one by one or all at once is the same for merges that `train_bpe` learned.)

        With the merges ("b", "c"), ("a", "b") the text "abc" is "a", "bc": the rank decides, not the place.
        """
        ### BEGIN SOLUTION
        ids: list[int] = []
        for piece, is_special in split_on_special(text, self.special_tokens):
            units = [piece] if is_special else pretokenize(piece)
            ids.extend(chain.from_iterable(map(self.encode_unit, units)))
        return ids
        ### END SOLUTION

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        """The ids of "".join(chunks), one by one, for any cut into chunks and without ever holding the whole text.

        Lazy: a chunk is read when the ids before it are used up. What a later chunk may still change is held back: the
        last two pretokens (`'`, `v` may become `'ve`) and whatever may be the beginning of a special token.
        """
        ### BEGIN SOLUTION
        margin = max(map(len, self.special_tokens), default=1) - 1
        text = ""
        for chunk in chunks:
            text += chunk
            sure = len(text) - margin  # a special token that starts before this is whole
            start = sent = 0
            for piece, is_special in split_on_special(text, self.special_tokens):
                if start >= sure:
                    break
                if is_special:
                    units = [piece]
                elif start + len(piece) < sure:  # a special token follows for certain
                    units = pretokenize(piece)
                else:
                    units = pretokenize(piece[: sure - start])[:-2]
                yield from chain.from_iterable(map(self.encode_unit, units))
                sent += sum(map(len, units))
                start += len(piece)
            text = text[sent:]
        yield from self.encode(text)
        ### END SOLUTION

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`: their byte strings joined, then read as UTF-8; bytes that are not UTF-8 become U+FFFD.

        So decode(a + b) need not be decode(a) + decode(b): a character may be cut in the middle.
        Raises KeyError for an id that is not in the vocabulary.

        With only the 256 bytes as vocabulary, decode([0xC3, 0xA9]) is "é" and decode([0xFF, 0x41]) is "\\ufffdA".
        """
        ### BEGIN SOLUTION
        return b"".join(self.vocab[i] for i in ids).decode("utf-8", errors="replace")
        ### END SOLUTION

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write vocabulary, merges and special tokens to one JSON file. JSON has no bytes: write them as hex, say."""
        ### BEGIN SOLUTION
        state = {
            "vocab": {i: token.hex() for i, token in self.vocab.items()},
            "merges": [[a.hex(), b.hex()] for a, b in self.merges],
            "special_tokens": self.special_tokens,
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(state, file)
        ### END SOLUTION

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """The tokenizer that `save` wrote to `path`: it encodes and decodes as the saved one did."""
        ### BEGIN SOLUTION
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        vocab = {int(i): bytes.fromhex(token) for i, token in state["vocab"].items()}
        merges = [(bytes.fromhex(a), bytes.fromhex(b)) for a, b in state["merges"]]
        return cls(vocab, merges, state["special_tokens"])
        ### END SOLUTION


def compression_ratio(tokenizer: Tokenizer, text: str) -> float:
    """UTF-8 bytes of `text` per id of `tokenizer.encode(text)`; 0.0 for the empty text.

    A tokenizer without merges has ratio 1.0 on every text: "é" is two bytes and two ids.
    """
    ### BEGIN SOLUTION
    ids = tokenizer.encode(text)
    return len(text.encode()) / len(ids) if ids else 0.0
    ### END SOLUTION
