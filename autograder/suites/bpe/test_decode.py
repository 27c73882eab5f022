"""Decoding: bytes first, then UTF-8."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part, raises
from autograder.suites.bpe import naive
from autograder.suites.bpe.strategies import (
    BYTES,
    several,
    special_lists,
    text_of,
    texts,
    texts_like,
    texts_with,
    trained,
)

# Beginnings, middles and ends of characters, overlong forms, a surrogate, bytes that UTF-8 never has.
ODD_BYTES = [0x41, 0x20, 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xC0, 0xED, 0xA0, 0xF5, 0xFF]


@part("decode", points=2)
@given(st.data(), trained(special_lists(min_size=1)))
def test_every_text_is_decoded(bpe, data, made):
    """The ids of a text, special tokens among them, give the text back."""
    vocab, merges, special_tokens = made
    text = data.draw(texts()) + data.draw(texts_like(merges, 4)) + data.draw(texts_with(special_tokens, 4))
    ids = naive.encode(text, vocab, merges, special_tokens)
    checks.equal(bpe.Tokenizer(vocab, merges, special_tokens).decode(ids), text)


@part("decode", points=2)
@given(text_of("é€😀日 a", 6))
def test_bytes_are_joined_before_they_are_decoded(bpe, text):
    """A character whose bytes are spread over several ids is decoded whole."""
    checks.equal(bpe.Tokenizer(BYTES, []).decode(list(text.encode())), text)


@part("decode", points=1)
@settings(max_examples=60)
@given(several(st.sampled_from(ODD_BYTES), 6))
def test_what_is_not_utf8_becomes_u_fffd(bpe, ids):
    """Bytes that are not UTF-8 become U+FFFD, and those around them stay."""
    checks.equal(bpe.Tokenizer(BYTES, []).decode(ids), naive.decode(ids, BYTES))


@part("decode", points=1)
@settings(max_examples=20)
@given(trained(), st.one_of(st.integers(0, 5), st.integers(-3, -1)))
def test_an_unknown_id_is_a_key_error(bpe, made, beyond):
    """An id that is not in the vocabulary raises KeyError; a negative one too."""
    vocab, merges, _ = made
    tokenizer = bpe.Tokenizer(vocab, merges)
    with raises("KeyError"):
        tokenizer.decode([97, len(vocab) + beyond if beyond >= 0 else beyond])
