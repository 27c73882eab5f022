"""What the tests of this suite draw: texts full of traps, corpora with ties and runs, learned and made-up merges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from autograder.judge import Given, Mismatch, Proxy, Submission, checks
from autograder.suites.bpe import naive
from autograder.suites.bpe.naive import Pair

BYTES = {byte: bytes([byte]) for byte in range(256)}

# Where the pattern, the standard `re`, normalisation, line ends and UTF-8 have their edges.
FRAGMENTS = [
    "a", "the", " the", "A", "e", "'", "'ll", "'v", "'ve", "it's", "IT'S", "'Ve",
    " ", "  ", "   ", "\t", " \n", "\n", "\r\n", "a\r\n", "\r\n\r\n", "\r", "\n\n",
    "\u00a0", "\u2003", "\x1c", "\x1f", "\x85", "\u200b", "\x00",
    "1", "2024", "½", "²", "Ⅷ", "٣", "_", "a_b", "!", "...", "+", "😀", "👩‍🚀",
    "é", "e\u0301", "\u212b", "İ", "ﬁ", "я", "日本", "कि", "\u1100\u1161",
]  # fmt: skip

SPECIAL_TOKENS = ["<|end|>", "<s>", "<s><s>", "<s>x", "</s>", "[PAD]", "<|end|><s>", "a b c d", "d e"]


def several(elements: st.SearchStrategy[Any], max_size: int = 8) -> st.SearchStrategy[list[Any]]:
    """A list, in which half of the places are taken: `st.lists` is mostly short, and then few things can go wrong."""
    place = st.one_of(st.none(), elements)
    return st.tuples(*[place] * max_size).map(lambda places: [one for one in places if one is not None])


def text_of(pieces: Sequence[str], max_pieces: int = 8) -> st.SearchStrategy[str]:
    """Some of the pieces in any order."""
    return st.tuples(*[st.sampled_from(["", *pieces])] * max_pieces).map("".join)


def texts() -> st.SearchStrategy[str]:
    """Texts of any characters, and of the fragments above more often than not."""
    return st.tuples(text_of(FRAGMENTS, 5), st.text(max_size=3), text_of(FRAGMENTS, 4)).map("".join)


def texts_with(special_tokens: Sequence[str], max_pieces: int = 8) -> st.SearchStrategy[str]:
    """Texts that hold special tokens, and beginnings and ends of them."""
    broken = [part for token in special_tokens for i in range(1, len(token)) for part in (token[:i], token[i:])]
    plain = [" ", "a", "the ", "\n", "'s", "é", "😀", " x"]
    # As many of each kind, however many there are.
    kinds = [kind for kind in (plain, list(special_tokens), broken) if kind]
    size = max(map(len, kinds))
    return text_of([kind[i % len(kind)] for kind in kinds for i in range(size)], max_pieces)


def special_lists(min_size: int = 0, max_size: int = 4) -> st.SearchStrategy[list[str]]:
    """Lists of distinct special tokens, some of which begin with others."""
    return st.lists(st.sampled_from(SPECIAL_TOKENS), min_size=min_size, max_size=max_size, unique=True)


# Special tokens of which one begins with another, each in an order that is wrong for an alternation.
FAMILIES = [["<s>", "<s><s>", "<s>x"], ["<|end|>", "<|end|><s>"], ["a b", "a b c", "a b c d"]]


@st.composite
def families(draw: st.DrawFn) -> list[str]:
    """Special tokens of one family, in any order."""
    return draw(st.permutations(draw(st.sampled_from(FAMILIES))))


# Few letters, so that pairs tie and repeat.
ALPHABETS = ["ab", "abc", "ab ", "abc ", "abcd ", "aab", "aé ", "ab\n"]


def words(alphabet: str, max_size: int = 24) -> st.SearchStrategy[str]:
    """Texts over a few letters, in three pieces because one alone is mostly short."""
    piece = st.text(alphabet, max_size=max_size // 3)
    return st.tuples(piece, piece, piece).map("".join)


@st.composite
def corpora(draw: st.DrawFn, alphabets: Sequence[str] = tuple(ALPHABETS), max_size: int = 24) -> list[str]:
    """Three texts at most, over one small alphabet."""
    text = words(draw(st.sampled_from(alphabets)), max_size)
    return [one for one in draw(st.tuples(text, text, text)) if one]


@st.composite
def runs(draw: st.DrawFn) -> list[str]:
    """Texts of repeated letters and repeated syllables: "aaaa", "ababab", "aabaab"."""
    unit = st.sampled_from(["a", "b", "ab", "ba", "aab", "abb", "abc"])
    run = st.builds(lambda unit, n: unit * n, unit, st.integers(1, 9))
    return draw(several(several(run, 4).map("".join), 4))


def token_lists(alphabet: Sequence[bytes] = (b"a", b"b", b"ab"), max_size: int = 8) -> st.SearchStrategy[list[bytes]]:
    return st.tuples(*[st.sampled_from([b"", *alphabet])] * max_size).map(lambda tokens: [t for t in tokens if t])


@st.composite
def tokens_and_pair(draw: st.DrawFn) -> tuple[list[bytes], Pair]:
    """A list of tokens and a pair that occurs in it, more often than not."""
    tokens = draw(token_lists([b"a", b"b", b"a", b"b", b"ab"]))
    if len(tokens) > 1 and draw(st.integers(0, 3)):
        i = draw(st.integers(0, len(tokens) - 2))
        return tokens, (tokens[i], tokens[i + 1])
    return tokens, (draw(st.sampled_from([b"a", b"b"])), draw(st.sampled_from([b"a", b"b", b"ab"])))


# Merges in everything that streams and files can get wrong: contractions, runs of white space, accents, an emoji.
RICH_TEXT = "it's we've I'll they're the cat  sat\n\n  on a\r\n\r\nmat \n né 😀😀 ab ab abc +1 ab\n+ the" * 2
RICH = naive.train([RICH_TEXT, "   \n\n", "'s've'll", "v e vel ss"], 256 + 60)


@st.composite
def trained(
    draw: st.DrawFn, special_tokens: st.SearchStrategy[list[str]] | None = None
) -> tuple[dict[int, bytes], list[Pair], list[str]]:
    """A vocabulary, merges and special tokens as training on some corpus gives them."""
    special = draw(special_tokens) if special_tokens is not None else []
    if draw(st.booleans()):
        tokens = [*RICH[0].values(), *(token.encode() for token in special)]
        return dict(enumerate(tokens)), RICH[1], special
    corpus = draw(corpora(["ab", "abc", "ab ", "the\n ", "é😀 ", "'sv e"]))
    vocab, merges = naive.train(corpus, 256 + len(special) + draw(st.integers(0, 12)), special)
    return vocab, merges, special


def texts_like(merges: Sequence[Pair], max_pieces: int = 8) -> st.SearchStrategy[str]:
    """Texts in which these merges apply: their tokens, where those are text, in any order."""
    tokens = {token for pair in merges for token in (*pair, pair[0] + pair[1])}
    pieces = [token.decode() for token in sorted(tokens) if token.decode(errors="ignore").encode() == token]
    return text_of(["a", " ", "the", *pieces], max_pieces)


@st.composite
def made_up(draw: st.DrawFn) -> tuple[dict[int, bytes], list[Pair]]:
    """Merges that no training would give, and a few tokens that no merge makes.

    Every token is made once at most, before it is used, so that the order of the merges decides everything.
    """
    tokens = [b"a", b"b", b"c"]
    merges: list[Pair] = []
    for _ in range(draw(st.integers(0, 10))):
        pair = (draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens)))
        if b"".join(pair) not in tokens:
            merges.append(pair)
            tokens.append(b"".join(pair))
    extra = [c.encode() for c in draw(several(words("abc", 4), 6)) if len(c) > 1]
    made = dict.fromkeys([a + b for a, b in merges] + extra)
    return BYTES | dict(enumerate(made, start=256)), merges


@st.composite
def cuts(draw: st.DrawFn, text: str) -> list[str]:
    """The text in chunks: of one character each, or cut anywhere; a chunk may be empty."""
    if draw(st.booleans()):
        return list(text)
    places = sorted(draw(st.lists(st.integers(0, len(text)), min_size=1, max_size=8)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)])]


def stream(bpe: Submission, tokenizer: Proxy, chunks: Any) -> Proxy:
    """What `encode_iterable` returns, which must be an iterator."""
    ids = tokenizer.encode_iterable(chunks)
    if not isinstance(ids, Proxy):
        raise Mismatch("should be an iterator, not a value that is complete already", ids)
    return ids


def streamed(bpe: Submission, tokenizer: Proxy, chunks: list[str]) -> list[int]:
    """All ids of `encode_iterable`, from chunks that can be read once."""
    return bpe.take(stream(bpe, tokenizer, bpe.make(Given("streams.Counted"), chunks)), 10_000)


def joined(vocab: dict[int, bytes], special_tokens: Sequence[str], ids: Sequence[int]) -> bytes:
    """The bytes of ids; special tokens that the vocabulary lacks have the next ids."""
    known = set(vocab.values())
    new = [s.encode() for s in special_tokens if s.encode() not in known]
    tokens = {**vocab, **dict(enumerate(new, start=len(vocab)))}
    for i in ids:
        checks.holds(type(i) is int and i in tokens, f"{i!r} is an id of the vocabulary", list(ids))
    return b"".join(tokens[i] for i in ids)
