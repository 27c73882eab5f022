"""Pretokenization: the matches of GPT-2's pattern, nothing lost."""

from __future__ import annotations

from hypothesis import given, settings

from autograder.judge import checks, part
from autograder.suites.bpe import naive
from autograder.suites.bpe.strategies import text_of, texts


@part("pretokenize", points=2)
@settings(max_examples=100)
@given(texts())
def test_the_pretokens_joined_are_the_text(bpe, text):
    """The pretokens are non-empty strings, and joined they are the text, character by character."""
    pretokens = bpe.pretokenize(text)
    strings = type(pretokens) is list and all(type(pretoken) is str for pretoken in pretokens)
    checks.holds(strings, "the pretokens are a list of strings", pretokens)
    checks.holds(all(pretokens), "no pretoken is empty", pretokens)
    checks.holds("".join(pretokens) == text, "the pretokens joined are the text", pretokens, text)


@part("pretokenize", points=2)
@settings(max_examples=80)
@given(text_of(["'", "'s", "'S", "'t", "'ll", "'LL", "'ve", "'Ve", "'D", "m", "re", " ", "1", "!", "\n"]))
def test_the_pretokens_are_the_matches_of_the_pattern(bpe, text):
    """The pretokens are the matches of the pattern, from left to right: contractions, words, numbers, signs."""
    checks.equal(bpe.pretokenize(text), naive.pretokenize(text))


@part("pretokenize", points=2)
@given(text_of("ab1!  \n\t"))
def test_the_last_space_of_a_run_goes_to_the_word_after_it(bpe, text):
    """Of several white-space characters before a word all but the last stay together; one space joins the word."""
    checks.equal(bpe.pretokenize(text), naive.pretokenize(text))


@part("pretokenize", points=2)
@settings(max_examples=100)
@given(texts())
def test_the_unicode_classes_are_those_of_the_pattern(bpe, text):
    """Letters, numbers and white space are what Unicode says, in all scripts."""
    checks.equal(bpe.pretokenize(text), naive.pretokenize(text))
