"""Encoding: the merges in their order, special tokens as single ids."""

from __future__ import annotations

import random

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from autograder.judge import checks, part, race, state_machine
from autograder.suites.bpe import naive
from autograder.suites.bpe.strategies import (
    BYTES,
    RICH,
    corpora,
    families,
    joined,
    made_up,
    special_lists,
    text_of,
    texts,
    texts_with,
    trained,
    words,
)  # fmt: skip

# Two characters that are never in one pretoken, but for the last pair.
CROSSING = [(b"a", b" "), (b"a", b"1"), (b"!", b"a"), (b"b", b"\n"), (b"1", b"'"), (b"\n", b"b"), (b"a", b"b")]


@part("encode", points=3)
@settings(max_examples=100)
@given(st.data(), st.sampled_from(["ab", "abc ", "aab"]), st.integers(2, 12))
def test_merges_are_applied_in_the_order_in_which_they_were_learned(bpe, data, alphabet, n_merges):
    """Of the pairs in a word the one that was learned first is merged, until none is left; neither the place in the
    text nor the length of a token decides."""
    corpus = data.draw(corpora([alphabet]))
    vocab, merges = naive.train(corpus, 256 + n_merges)
    text = data.draw(words(alphabet, 20))
    checks.equal(bpe.Tokenizer(vocab, merges).encode(text), naive.encode(text, vocab, merges))


@part("encode", points=2)
@settings(max_examples=120)
@given(made_up(), words("abc", 16))
def test_only_pairs_in_the_merges_are_merged(bpe, made, text):
    """Two tokens are merged if this very pair is in `merges`; that their joined bytes are a token is not enough."""
    vocab, merges = made
    checks.equal(bpe.Tokenizer(vocab, merges).encode(text), naive.encode(text, vocab, merges))


@part("encode", points=1)
@settings(max_examples=100)
@given(st.permutations([(b"a", b"b"), (b"b", b"a"), (b"b", b"c")]), words("abc"))
def test_of_equal_merges_the_first_counts(bpe, merges, text):
    """A pair that is in `merges` a second time keeps its first rank."""
    vocab = BYTES | {256 + k: a + b for k, (a, b) in enumerate(merges)}
    checks.equal(bpe.Tokenizer(vocab, [*merges, merges[0]]).encode(text), naive.encode(text, vocab, merges))


@part("encode", points=1)
@given(st.data(), trained())
def test_a_learned_token_is_one_id(bpe, data, made):
    """A pretoken that is a learned token is encoded as this one token."""
    vocab, merges, _ = made
    assume(merges)
    left, right = data.draw(st.sampled_from(merges))
    text = (left + right).decode(errors="replace")
    assume(text.encode() == left + right and naive.pretokenize(text) == [text])
    checks.equal(bpe.Tokenizer(vocab, merges).encode(text), [256 + merges.index((left, right))])


@part("encode", points=1)
@settings(max_examples=80)
@given(trained(special_lists(max_size=2)), texts())
def test_every_text_comes_back(bpe, made, text):
    """The byte strings of the ids joined are the UTF-8 bytes of the text, whatever it is."""
    vocab, merges, special_tokens = made
    ids = bpe.Tokenizer(vocab, merges, special_tokens).encode(text)
    checks.holds(joined(vocab, special_tokens, ids) == text.encode(), "the ids stand for the bytes of the text", ids)


@part("encode", points=1)
@settings(max_examples=80)
@given(st.permutations(CROSSING), text_of("ab1! \n'"))
def test_no_merge_crosses_the_border_of_a_pretoken(bpe, merges, text):
    """A text is encoded as its pretokens, one after the other, whatever the merges."""
    vocab = BYTES | {256 + k: a + b for k, (a, b) in enumerate(merges)}
    checks.equal(bpe.Tokenizer(vocab, merges).encode(text), naive.encode(text, vocab, merges))


@part("encode", points=2)
@given(st.data(), trained(st.one_of(families(), special_lists(min_size=1))))
def test_a_special_token_is_one_id(bpe, data, made):
    """A special token in the text is one id, the longest where several fit, and the text around it is encoded alone."""
    vocab, merges, special_tokens = made
    text = data.draw(texts_with(special_tokens))
    tokenizer = bpe.Tokenizer(vocab, merges, special_tokens=special_tokens)
    checks.equal(tokenizer.encode(text), naive.encode(text, vocab, merges, special_tokens))


@part("encode", points=2)
@given(st.data(), families(), st.integers(0, 2))
def test_an_unknown_special_token_gets_the_next_free_id(bpe, data, family, n_known):
    """Special tokens that the vocabulary lacks get the ids after its last, in their order; the others keep theirs."""
    vocab, merges, _ = data.draw(trained(st.just(family[:n_known])))
    special_tokens = data.draw(st.permutations(family))
    text = data.draw(texts_with(special_tokens))
    tokenizer = bpe.Tokenizer(vocab, merges, special_tokens)
    checks.equal(tokenizer.encode(text), naive.encode(text, vocab, merges, special_tokens))


class Tokenizers(RuleBasedStateMachine):
    """Several tokenizers in one process, each with merges and special tokens of its own."""

    made = Bundle("made")

    def __init__(self, bpe):
        super().__init__()
        self.bpe = bpe

    @rule(target=made, special_tokens=special_lists(max_size=1), n_merges=st.integers(0, len(RICH[1])))
    def make(self, special_tokens, n_merges):
        vocab = {i: RICH[0][i] for i in range(256 + n_merges)}
        made = (vocab, RICH[1][:n_merges], special_tokens)
        return self.bpe.Tokenizer(*made), made

    @rule(one=made, text=st.sampled_from(["ab the", "the cat", "a<s>x b"]))
    def encode(self, one, text):
        tokenizer, made = one
        checks.equal(tokenizer.encode(text), naive.encode(text, *made))


@part("encode", points=1)
def test_what_was_encoded_before_changes_nothing(bpe):
    """A tokenizer gives the same ids for a text whatever it, or another tokenizer, has encoded before."""
    state_machine(lambda: Tokenizers(bpe), max_examples=30, steps=10)


@part("encode", kind="advisory")
def test_speed_of_encoding(bpe):
    """Encoding 5,000 different words, in times of the reference."""
    letters = random.Random(0)
    words = ["".join(letters.choices("etaoinshr", k=letters.randint(2, 9))) for _ in range(15_000)]
    vocab, merges = naive.train(" ".join(words[:300]), 356)

    def ready(solution):
        tokenizer = solution.Tokenizer(vocab, merges)
        return lambda n: tokenizer.encode(" ".join(words[n::3]))

    checks.equal(*race(ready, bpe))
