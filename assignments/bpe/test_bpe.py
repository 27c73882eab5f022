"""Public tests: the handout's examples, a few simple properties, and the names of some common mistakes.

Points come from hidden tests, which draw many more inputs than these. Run this file with `autograder check bpe`.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import Given, Wrong, checks, part, raises

BYTES = {byte: bytes([byte]) for byte in range(256)}
WORD = st.text("ab ", max_size=8)


def vocabulary(merges, special_tokens=()):
    """Bytes, then merges, then special tokens."""
    tokens = [*BYTES.values(), *(a + b for a, b in merges), *(token.encode() for token in special_tokens)]
    return dict(enumerate(tokens))


def streamed(bpe, tokenizer, chunks):
    """All ids of `encode_iterable`."""
    ids = tokenizer.encode_iterable(chunks)
    checks.holds(not isinstance(ids, list | tuple), "`encode_iterable` returns an iterator", ids)
    return bpe.take(ids, 1000)


# --- pretokenize ------------------------------------------------------------------------------------------------------


@part("pretokenize", points=0)
def test_pretokens_of_the_handout(bpe):
    """The example of the handout: a contraction, two spaces, a line end."""
    checks.equal(bpe.pretokenize("I'll  go!\r\n"), ["I", "'ll", " ", " go", "!", "\r\n"])


@part("pretokenize", points=0)
@given(st.text("ab1! "))
def test_pretokens_keep_all_characters(bpe, text):
    """The pretokens joined are the text."""
    pretokens = bpe.pretokenize(text)
    checks.holds("".join(pretokens) == text, "the pretokens joined are the text", pretokens, text)


# --- split_on_special -------------------------------------------------------------------------------------------------


@part("split_on_special", points=0)
def test_split_of_the_handout(bpe):
    """The examples of the handout: one special token, and one that begins with another."""
    checks.equal(bpe.split_on_special("a<|end|>b", ["<|end|>"]), [("a", False), ("<|end|>", True), ("b", False)])
    checks.equal(bpe.split_on_special("<s><s>", ["<s>", "<s><s>"]), [("<s><s>", True)])


@part("split_on_special", points=0)
@given(st.lists(st.sampled_from(["<s>", "a", "b"])).map("".join))
def test_split_keeps_all_characters(bpe, text):
    """The pieces joined are the text."""
    pieces = bpe.split_on_special(text, ["<s>"])
    checks.holds("".join(piece for piece, _ in pieces) == text, "the pieces joined are the text", pieces, text)


# --- count_pairs ------------------------------------------------------------------------------------------------------


@part("count_pairs", points=0)
def test_counts_of_the_handout(bpe):
    """The example of the handout: occurrences overlap, and a word counts as often as it occurs."""
    counts = bpe.count_pairs({(b"a", b"a", b"a"): 5, (b"a", b"b"): 1})
    checks.equal(counts, {(b"a", b"a"): 10, (b"a", b"b"): 1})


@part("count_pairs", points=0)
@given(st.lists(st.sampled_from([b"a", b"b", b"c"])).map(tuple), st.integers(1, 5))
def test_counts_add_up(bpe, word, frequency):
    """A word of n tokens holds n - 1 pairs."""
    total = sum(bpe.count_pairs({word: frequency}).values())
    checks.equal(total, frequency * max(len(word) - 1, 0))


# --- merge_pair -------------------------------------------------------------------------------------------------------


@part("merge_pair", points=0)
def test_merge_of_the_handout(bpe):
    """The example of the handout: from left to right."""
    checks.equal(bpe.merge_pair([b"a", b"a", b"a"], (b"a", b"a")), [b"aa", b"a"])


@part("merge_pair", points=0)
@given(st.lists(st.sampled_from([b"a", b"b"])))
def test_merge_keeps_all_bytes(bpe, tokens):
    """Merging changes the tokens and not the bytes."""
    merged = bpe.merge_pair(tokens, (b"a", b"b"))
    checks.holds(b"".join(merged) == b"".join(tokens), "the bytes stay the same", merged)


# --- train_bpe --------------------------------------------------------------------------------------------------------

BANANA = [(b"a", b"n"), (b"b", b"an"), (b"an", b"a"), (b"d", b"ana")]


@part("train_bpe", points=0)
def test_training_of_the_handout(bpe):
    """The worked example of the handout."""
    checks.equal(bpe.train_bpe("banana bandana", 260), (vocabulary(BANANA), BANANA))


@part("train_bpe", points=0)
def test_training_beside_special_tokens(bpe):
    """The text of special tokens counts nothing, and they come last."""
    merges = [(b"t", b"h"), (b"th", b"e")]
    checks.equal(bpe.train_bpe("the<|end|>cat<|end|>", 259, ["<|end|>"]), (vocabulary(merges, ["<|end|>"]), merges))


@part("train_bpe", points=0)
@given(st.lists(WORD, max_size=3), st.integers(256, 270))
def test_training_fills_the_vocabulary_at_most(bpe, corpus, vocab_size):
    """The vocabulary is no larger than `vocab_size`, and holds the 256 bytes and one token for each merge."""
    vocab, merges = bpe.train_bpe(corpus, vocab_size)
    checks.holds(len(vocab) <= vocab_size, "the vocabulary is not too large", len(vocab), vocab_size)
    checks.equal(vocab, vocabulary(merges))


# --- Tokenizer --------------------------------------------------------------------------------------------------------


@part("encode", points=0)
def test_ids_of_the_handout(bpe):
    """The examples of the handout: the rank decides, and an unknown special token gets the next free id."""
    merges = [(b"b", b"c"), (b"a", b"b")]
    checks.equal(bpe.Tokenizer(vocabulary(merges), merges).encode("abc"), [97, 256])
    checks.equal(bpe.Tokenizer(BYTES, [], special_tokens=["<|end|>"]).encode("a<|end|>"), [97, 256])


@part("encode", points=0)
@given(st.text("abdn ", max_size=8))
def test_ids_stand_for_the_text(bpe, text):
    """The byte strings of the ids joined are the text."""
    vocab = vocabulary(BANANA)
    ids = bpe.Tokenizer(vocab, BANANA).encode(text)
    checks.holds(b"".join(vocab[i] for i in ids) == text.encode(), "the ids stand for the text", ids)


@part("decode", points=0)
def test_texts_of_the_handout(bpe):
    """The examples of the handout: two bytes of one character, and a byte that is not UTF-8."""
    tokenizer = bpe.Tokenizer(BYTES, [])
    checks.equal(tokenizer.decode([0xC3, 0xA9]), "é")
    checks.equal(tokenizer.decode([0xFF, 0x41]), "\ufffdA")


@part("decode", points=0)
def test_an_id_beyond_the_vocabulary(bpe):
    """An id that is not in the vocabulary raises KeyError."""
    tokenizer = bpe.Tokenizer(BYTES, [])
    with raises("KeyError"):
        tokenizer.decode([256])


@part("encode_iterable", points=0)
def test_chunks_of_the_handout(bpe):
    """The example of the handout: one word in three chunks."""
    tokenizer = bpe.Tokenizer(vocabulary(BANANA), BANANA)
    chunks = bpe.make(Given("streams.Counted"), ["ba", "", "nan", "a"])
    checks.equal(streamed(bpe, tokenizer, chunks), tokenizer.encode("banana"))


@part("encode_iterable", points=0)
@given(st.lists(st.sampled_from(["a ", "banana ", "and ", "b "]), max_size=5))
def test_chunks_of_whole_words(bpe, chunks):
    """Chunks of whole words give the ids of the joined text."""
    tokenizer = bpe.Tokenizer(vocabulary(BANANA), BANANA)
    checks.equal(streamed(bpe, tokenizer, chunks), tokenizer.encode("".join(chunks)))


@part("compression_ratio", points=0)
def test_ratio_of_the_handout(bpe):
    """The examples of the handout: one id for six bytes, and a tokenizer without merges."""
    merges = [*BANANA, (b"b", b"ana"), (b"ban", b"ana")]
    checks.close(bpe.compression_ratio(bpe.Tokenizer(vocabulary(merges), merges), "banana"), 6.0)
    checks.close(bpe.compression_ratio(bpe.Tokenizer(BYTES, []), "banana"), 1.0)


@part("save_load", points=0)
def test_a_saved_tokenizer(bpe):
    """A tokenizer that was saved and loaded gives the same ids."""
    tokenizer = bpe.Tokenizer(vocabulary(BANANA), BANANA)
    (path,) = bpe.make(Given("files.temporary"), "tokenizer.json")
    tokenizer.save(path)
    checks.equal(bpe.Tokenizer.load(path).encode("bananas"), tokenizer.encode("bananas"))


# --- common mistakes --------------------------------------------------------------------------------------------------


def _stripped(text):
    return text.split()


def _lone_words(text):
    return [word for word in text.split(" ") if word]


def _without_specials(text, special_tokens):
    """Splitting at a pattern without a group throws the special tokens away."""
    pieces = [text]
    for token in special_tokens:
        pieces = [part for piece in pieces for part in piece.split(token)]
    return [(piece, False) for piece in pieces if piece]


def _shortest_first(text, special_tokens):
    pieces, rest = [], text
    while rest:
        found = min((token for token in special_tokens if rest.startswith(token)), key=len, default="")
        if found:
            pieces.append((found, True))
        elif pieces and not pieces[-1][1]:
            pieces[-1] = (pieces[-1][0] + rest[0], False)
        else:
            pieces.append((rest[0], False))
        rest = rest[len(found) or 1 :]
    return pieces


def _distinct(words):
    counts = {}
    for word, n in words.items():
        for pair in set(pairwise(word)):
            counts[pair] = counts.get(pair, 0) + n
    return counts


def _unweighted(words):
    counts = {}
    for word in words:
        for pair in pairwise(word):
            counts[pair] = counts.get(pair, 0) + 1
    return counts


def _from_the_right(tokens, pair):
    merged = []
    for token in reversed(tokens):
        if merged and (token, merged[-1]) == pair:
            merged[-1] = token + merged[-1]
        else:
            merged.append(token)
    return merged[::-1]


def _first_only(tokens, pair):
    tokens = list(tokens)
    for i in range(len(tokens) - 1):
        if (tokens[i], tokens[i + 1]) == pair:
            return [*tokens[:i], pair[0] + pair[1], *tokens[i + 2 :]]
    return tokens


def _learned(answers):
    """What a wrong trainer learns from the texts of this file; None for all others."""

    def train(corpus, vocab_size, special_tokens=()):
        merges = answers.get(corpus) if isinstance(corpus, str) else None
        return None if merges is None else (vocabulary(merges, special_tokens), merges)

    return train


WRONG = [
    Wrong("strips", function="pretokenize", formula=_stripped,
          hint="White space is dropped; the pretokens joined must be the text."),
    Wrong("splits_at_spaces", function="pretokenize", formula=_lone_words,
          hint="The text is split at spaces; the space belongs to the word after it."),
    Wrong("drops_special_tokens", function="split_on_special", formula=_without_specials,
          hint="The special tokens are thrown away; they are pieces too."),
    Wrong("shortest_first", function="split_on_special", formula=_shortest_first,
          hint="Where several special tokens fit the shortest is taken; it must be the longest."),
    Wrong("once_per_word", function="count_pairs", formula=_distinct,
          hint="A pair that is twice in a word counts twice."),
    Wrong("ignores_the_frequency", function="count_pairs", formula=_unweighted,
          hint="Every word counts once, whatever its frequency."),
    Wrong("right_to_left", function="merge_pair", formula=_from_the_right,
          hint="Merges go from left to right: \"aaa\" becomes \"aa\", \"a\"."),
    Wrong("first_occurrence_only", function="merge_pair", formula=_first_only,
          hint="Only the first occurrence is merged."),
    Wrong("ties_to_the_smallest", function="train_bpe",
          formula=_learned({"banana bandana": [(b"a", b"n"), (b"an", b"a"), (b"b", b"an"), (b" ", b"ban")]}),
          hint="Ties go to the smallest pair; here they go to the greatest."),
    Wrong("ties_to_the_first_seen", function="train_bpe",
          formula=_learned({"banana bandana": [(b"a", b"n"), (b"b", b"an"), (b"an", b"a"), (b" ", b"ban")]}),
          hint="Ties go to the pair that was seen first; here they go to the greatest pair of byte strings."),
    Wrong("special_text_counted", function="train_bpe",
          formula=_learned({"the<|end|>cat<|end|>": [(b"|", b">"), (b"n", b"d")]}),
          hint="The text of special tokens adds to the counts."),
]  # fmt: skip
