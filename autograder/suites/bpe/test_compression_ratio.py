"""Bytes per id."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.bpe.strategies import BYTES, special_lists, text_of, texts, texts_like, trained


@part("compression_ratio", points=2)
@given(st.data(), trained(special_lists(max_size=1)))
def test_it_is_bytes_per_id(bpe, data, made):
    """The ratio is the number of UTF-8 bytes over the number of ids, 1.0 for a tokenizer without merges."""
    text = data.draw(st.one_of(texts(), texts_like(made[1]), text_of("aé😀")))
    assume(text)
    tokenizer, plain = bpe.Tokenizer(*made), bpe.Tokenizer(BYTES, [])
    checks.close(bpe.compression_ratio(tokenizer, text), len(text.encode()) / max(len(tokenizer.encode(text)), 1))
    checks.close(bpe.compression_ratio(plain, text), 1.0)


@part("compression_ratio", points=1)
@settings(max_examples=10)
@given(trained())
def test_the_empty_text_has_ratio_zero(bpe, made):
    """The ratio of the empty text is 0.0, and that of no other text."""
    tokenizer = bpe.Tokenizer(*made)
    checks.equal(bpe.compression_ratio(tokenizer, ""), 0.0)
    ratio = bpe.compression_ratio(tokenizer, "a")
    checks.holds(ratio > 0, "a text has a ratio above 0", ratio)
