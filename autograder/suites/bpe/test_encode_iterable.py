"""Encoding a stream of chunks: the same ids for any cut, and no chunk before its time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, checks, part
from autograder.suites.bpe.strategies import (
    BYTES,
    cuts,
    families,
    joined,
    several,
    special_lists,
    stream,
    streamed,
    text_of,
    texts,
    texts_like,
    texts_with,
    trained,
)  # fmt: skip


def same_for(bpe, data, made, text):
    """Streaming the text in drawn chunks gives what the submission's own `encode` gives for the whole."""
    tokenizer = bpe.Tokenizer(*made)
    ids = streamed(bpe, tokenizer, data.draw(cuts(text)))
    checks.equal(ids, tokenizer.encode(text))
    stand_for(made, ids, text)


def stand_for(made, ids, text):
    """Whatever the ids are, nothing of the text is lost: a stream of nothings agrees with an encoding of nothings."""
    vocab, _, special_tokens = made
    checks.holds(joined(vocab, special_tokens, ids) == text.encode(), "the ids stand for the bytes of the text", ids)


@part("encode_iterable", points=2)
@settings(max_examples=60)
@given(st.data(), trained())
def test_the_cut_into_chunks_changes_nothing(bpe, data, made):
    """The ids are those of the joined text, wherever it was cut."""
    text = data.draw(st.one_of(texts(), texts_like(made[1])))
    same_for(bpe, data, made, text)


@part("encode_iterable", points=1)
@given(st.data(), trained(), texts())
def test_ids_come_one_by_one(bpe, data, made, text):
    """The iterator yields ids, which stand for all bytes of the text."""
    stand_for(made, streamed(bpe, bpe.Tokenizer(*made), data.draw(cuts(text))), text)


BLANKS = text_of([" ", "\n", "\n\n", "\r\n", " \n", "+", "a", "\n\n+a", "  \n+a"], 4)


@part("encode_iterable", points=1)
@settings(max_examples=100)
@given(several(BLANKS, 4))
def test_white_space_looks_into_the_next_chunk(bpe, chunks):
    """How white space is cut depends on the character after it, be it in the next chunk."""
    merges = [(b" ", b" "), (b"\n", b"\n"), (b"\r", b"\n"), (b" ", b"\n"), (b"\n", b" "), (b" ", b"a")]
    vocab = BYTES | {256 + k: a + b for k, (a, b) in enumerate(merges)}
    tokenizer = bpe.Tokenizer(vocab, merges)
    ids = streamed(bpe, tokenizer, chunks)
    checks.equal(ids, tokenizer.encode("".join(chunks)))
    stand_for((vocab, merges, []), ids, "".join(chunks))


@part("encode_iterable", points=2)
@settings(max_examples=80)
@given(st.data(), text_of(["it", "'", "v", "e", "l", "s", "'ve", "re", "'ll", " "]))
def test_a_contraction_may_come_in_pieces(bpe, data, text):
    """`'`, `v`, `e` in three chunks are the pretoken `'ve`."""
    merges = [(b"'", b"v"), (b"'v", b"e"), (b"'", b"l"), (b"'l", b"l"), (b"v", b"e"), (b"l", b"l"), (b"'", b"s")]
    same_for(bpe, data, (BYTES | {256 + k: a + b for k, (a, b) in enumerate(merges)}, merges, []), text)


@part("encode_iterable", points=2)
@settings(max_examples=120)
@given(st.data(), trained(families()))
def test_a_special_token_may_come_in_pieces(bpe, data, made):
    """A special token is found although it is spread over chunks, and the longest where one begins with another."""
    same_for(bpe, data, made, data.draw(texts_with(made[2])))


@part("encode_iterable", points=2, kind="self-reported")
@settings(max_examples=15)
@given(trained(special_lists(max_size=2)), st.lists(st.sampled_from(["the cat", "a dog"]), min_size=20, max_size=40))
def test_chunks_are_read_when_they_are_needed(bpe, made, phrases):
    """Chunks are read as ids are asked for: a long stream is never read as a whole."""
    chunks = [f"{phrase} sat on the long mat, and sat, and sat there.\n" for phrase in phrases]
    tokenizer = bpe.Tokenizer(*made)
    whole = tokenizer.encode("".join(chunks))
    source = bpe.make(Given("streams.Counted"), chunks)
    ids = stream(bpe, tokenizer, source)
    taken = bpe.take(ids, 1)
    checks.holds(source.taken <= 3, "at most three chunks are read for the first id", source.taken)
    taken += bpe.take(ids, len(whole) // 2 - 1)
    half = len(joined(made[0], made[2], taken)) / len("".join(chunks)) * len(chunks)
    checks.holds(source.taken <= half + 4, "half of the ids need half of the chunks, and a few more", source.taken)
    checks.equal(taken + bpe.take(ids, len(whole)), whole)
