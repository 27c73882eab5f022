"""Cutting a text at its special tokens."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.bpe import naive
from autograder.suites.bpe.strategies import families, special_lists, text_of, texts, texts_with


def not_empty(pieces):
    """Empty pieces have a test of their own."""
    return [piece for piece in pieces if piece[0] != ""]


@part("split_on_special", points=2)
@given(st.data(), special_lists(min_size=1, max_size=2))
def test_the_pieces_joined_are_the_text(bpe, data, special_tokens):
    """The pieces joined are the text; nothing is dropped, not even white space."""
    text = data.draw(text_of([*special_tokens, "a", " ", "\n"]))
    pieces = bpe.split_on_special(text, special_tokens)
    checks.holds("".join(piece for piece, _ in pieces) == text, "the pieces joined are the text", pieces, text)


@part("split_on_special", points=2)
@settings(max_examples=100)
@given(st.data(), st.sampled_from(["<|end|>", "<s>", "[PAD]", "</s>"]))
def test_special_pieces_are_special_tokens_and_text_pieces_hold_none(bpe, data, special):
    """A piece is marked True if it is a special token, exactly as written, and no other piece holds one."""
    text = data.draw(texts_with([special, special.upper()]))
    pieces = not_empty(bpe.split_on_special(text, [special]))
    checks.equal(pieces, naive.split_on_special(text, [special]))


@part("split_on_special", points=2)
@settings(max_examples=100)
@given(st.data(), families())
def test_the_longest_special_token_wins(bpe, data, special_tokens):
    """Where several special tokens start at one place the longest is taken, in whatever order they are given."""
    text = data.draw(texts_with(special_tokens))
    checks.equal(not_empty(bpe.split_on_special(text, special_tokens)), naive.split_on_special(text, special_tokens))


@part("split_on_special", points=2)
@given(st.data(), st.sampled_from(["a|b", "a.b", "[xy]", "a+", "(ab)", "b*a", "^a", "a$", "\\s", "a{2}", "a?b"]))
def test_special_tokens_are_plain_text_and_not_patterns(bpe, data, special):
    """Characters like `|`, `.` and `+` in a special token stand for themselves."""
    text = data.draw(text_of([special, "a", "b", "x", " ", "aa", "axb"], 8))
    checks.equal(not_empty(bpe.split_on_special(text, [special])), naive.split_on_special(text, [special]))


@part("split_on_special", points=1)
@given(texts())
def test_without_special_tokens_a_text_is_one_piece(bpe, text):
    """With an empty list of special tokens a text is one piece, marked False."""
    checks.equal(not_empty(bpe.split_on_special(text, [])), [(text, False)] if text else [])


@part("split_on_special", points=1)
@given(st.data(), special_lists())
def test_no_piece_is_empty(bpe, data, special_tokens):
    """No piece is empty: not at the ends, not between two special tokens, and not for the empty text."""
    text = data.draw(texts_with(special_tokens, max_pieces=4))
    pieces = bpe.split_on_special(text, special_tokens)
    checks.holds(all(piece for piece, _ in pieces), "no piece is empty", pieces)
    checks.equal("".join(piece for piece, _ in pieces), text)
