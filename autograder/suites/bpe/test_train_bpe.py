"""Training: which pair is merged at each step, and what a corpus is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, Mismatch, checks, part, raises
from autograder.suites.bpe import naive
from autograder.suites.bpe.strategies import corpora, runs, several, special_lists, text_of, texts_with, words

SIZES = st.integers(256, 280)


def follow(corpus, n_merges, merges, special_tokens=()):
    """`merges` step by step: each must be a pair with the highest count, ties any way, as long as there is a pair."""
    words = naive.words_of(corpus, special_tokens)
    for k in range(n_merges):
        counts = naive.pair_counts(words)
        if not counts:
            checks.holds(len(merges) <= k, f"training ends after {k} merges, as no pair is left", merges)
            return
        best = sorted((pair for pair in counts if counts[pair] == max(counts.values())), reverse=True)
        if k >= len(merges):
            raise Mismatch(f"should go on after {k} merges: a pair is left", merges, [*merges, best[0]])
        if merges[k] not in best:
            times = f"merge {k} occurs {counts.get(merges[k], 0)} times, another pair {counts[best[0]]} times"
            raise Mismatch(times, merges, [*merges[:k], best[0]])
        words = [tuple(naive.merge_pair(word, merges[k])) for word in words]
    checks.holds(len(merges) <= n_merges, f"there are at most {n_merges} merges", merges)


def merges_of(bpe, corpus, vocab_size, special_tokens=()):
    """The merges, which are compared with each other below: so there must be one where there is a pair."""
    _, merges = bpe.train_bpe(corpus, vocab_size, special_tokens)
    tuples = type(merges) is list and all(type(pair) is tuple for pair in merges)
    checks.holds(tuples, "`merges` is a list of tuples", merges)
    if isinstance(corpus, str | list) and not merges and vocab_size > 256 + len(special_tokens):
        some = naive.pair_counts(naive.words_of(corpus, special_tokens))
        checks.holds(not some, "there is a merge where a corpus has a pair", merges)
    return merges


# --- the merges -------------------------------------------------------------------------------------------------------


@part("train_bpe", points=4)
@settings(max_examples=120)
@given(corpora(), SIZES)
def test_every_merge_is_a_most_frequent_pair(bpe, corpus, vocab_size):
    """Each merge is a pair with the highest count after the merges before it."""
    follow(corpus, vocab_size - 256, merges_of(bpe, corpus, vocab_size))


@part("train_bpe", points=4)
@settings(max_examples=100)
@given(runs(), SIZES)
def test_runs_are_counted_right_after_each_merge(bpe, corpus, vocab_size):
    """Each merge is a pair with the highest count, in "aaaa" and "ababab" too, where merges lie side by side."""
    follow(corpus, vocab_size - 256, merges_of(bpe, corpus, vocab_size))


@part("train_bpe", points=3)
@settings(max_examples=80)
@given(corpora(["ab ", "abc", "abAB ", "abcd ", "cba"], max_size=16), SIZES)
def test_ties_go_to_the_greatest_pair(bpe, corpus, vocab_size):
    """Of the pairs with the highest count the greatest is merged, compared as tuples of byte strings."""
    checks.equal(merges_of(bpe, corpus, vocab_size), naive.train(corpus, vocab_size)[1])


@part("train_bpe", points=2)
@given(corpora(["éàÅ", "aéя ", "日本a", "😀😁b", "à \n", "kि€"], max_size=8), SIZES)
def test_ties_compare_bytes_and_not_characters(bpe, corpus, vocab_size):
    """Words start as single UTF-8 bytes, and ties compare those bytes, in every script."""
    checks.equal(merges_of(bpe, corpus, vocab_size), naive.train(corpus, vocab_size)[1])


# --- the vocabulary ---------------------------------------------------------------------------------------------------


@part("train_bpe", points=2)
@given(corpora(), st.integers(260, 270), special_lists())
def test_the_vocabulary_is_bytes_then_merges_then_special_tokens(bpe, corpus, vocab_size, special_tokens):
    """Ids below 256 are bytes, id 256 + k is the token of merge k, and the special tokens come last, in their order."""
    vocab, merges = bpe.train_bpe(corpus, vocab_size, special_tokens)
    tokens = [bytes([byte]) for byte in range(256)] + [a + b for a, b in merges] + [s.encode() for s in special_tokens]
    checks.equal(vocab, dict(enumerate(tokens)))


@part("train_bpe", points=1)
@given(st.integers(0, 20), special_lists())
def test_vocab_size_counts_bytes_merges_and_special_tokens(bpe, n_merges, special_tokens):
    """With enough text the vocabulary has `vocab_size` tokens: 256 bytes, the merges, and the special tokens."""
    vocab_size = 256 + len(special_tokens) + n_merges
    vocab, merges = bpe.train_bpe("abcdefghijklmnopqrstuvwxyz", vocab_size, special_tokens=special_tokens)
    checks.equal((len(vocab), len(merges)), (vocab_size, n_merges))


@part("train_bpe", points=1)
@settings(max_examples=15)
@given(st.integers(0, 255), special_lists())
def test_a_size_that_is_too_small_is_an_error(bpe, size, special_tokens):
    """A `vocab_size` below 256 + the number of special tokens raises ValueError."""
    with raises("ValueError"):
        bpe.train_bpe("abab", size + len(special_tokens), special_tokens)


@part("train_bpe", points=2)
@settings(max_examples=60)
@given(corpora(["ab", "abc "], max_size=9), special_lists(max_size=2))
def test_training_ends_when_no_pair_is_left(bpe, corpus, special_tokens):
    """Training goes on while a pair occurs, be it once, and then ends without an error, also on an empty corpus."""
    n_merges = 40
    vocab, merges = bpe.train_bpe(corpus, 256 + n_merges + len(special_tokens), special_tokens)
    follow(corpus, n_merges, merges)
    checks.equal(len(vocab), 256 + len(merges) + len(special_tokens))


@part("train_bpe", points=1)
@settings(max_examples=120)
@given(corpora(["abc", "abc ", "abcd "], max_size=40), st.integers(256, 264), st.integers(0, 12))
def test_a_larger_vocabulary_continues_a_smaller_one(bpe, corpus, vocab_size, more):
    """The merges for a smaller vocabulary are the first of the merges for a larger one."""
    few, many = merges_of(bpe, corpus, vocab_size), merges_of(bpe, corpus, vocab_size + more)
    checks.equal(few, many[: len(few)])


# --- the corpus -------------------------------------------------------------------------------------------------------


@part("train_bpe", points=2)
@settings(max_examples=60)
@given(st.data(), special_lists(min_size=1, max_size=2), st.integers(0, 24))
def test_special_tokens_cut_the_text_and_count_nothing(bpe, data, special_tokens, n_merges):
    """A text with special tokens trains like the list of the texts between them."""
    text = data.draw(texts_with(special_tokens))
    between = [piece for piece, special in naive.split_on_special(text, special_tokens) if not special]
    merges = merges_of(bpe, text, 256 + len(special_tokens) + n_merges, special_tokens)
    checks.equal(merges, merges_of(bpe, between, 256 + n_merges))


@part("train_bpe", points=1)
@given(several(st.sampled_from(["ab", "ba", "ab ba", " a", "b", "aab"]), 6), SIZES)
def test_no_pretoken_reaches_from_one_text_into_the_next(bpe, corpus, vocab_size):
    """Every text of the corpus counts, each by itself."""
    follow(corpus, vocab_size - 256, merges_of(bpe, corpus, vocab_size))


@part("train_bpe", points=1)
@settings(max_examples=20)
@given(corpora(), SIZES)
def test_a_corpus_can_be_a_stream_that_is_read_once(bpe, corpus, vocab_size):
    """An iterator over texts trains like the list of the same texts."""
    stream = bpe.make(Given("streams.Counted"), corpus)
    checks.equal(merges_of(bpe, stream, vocab_size), merges_of(bpe, corpus, vocab_size))


@part("train_bpe", points=1)
@settings(max_examples=20)
@given(words("ab "), SIZES)
def test_one_text_is_a_corpus_of_one(bpe, text, vocab_size):
    """A string trains like the list with this one string."""
    checks.equal(merges_of(bpe, text, vocab_size), merges_of(bpe, [text], vocab_size))


@part("train_bpe", points=1)
@settings(max_examples=5)
@given(st.sampled_from(["<|a-rather-long-special-token|>", "<<the-end-of-a-document-is-here>>"]), st.integers(3, 9))
def test_a_long_text_is_not_cut(bpe, special, length):
    """Many thousands of characters are one text: every special token in it is found, every word is whole."""
    text = ("words " * length)[:length] + special
    text *= 24_000 // len(text)
    merges = merges_of(bpe, text, 256 + 40, [special])
    checks.equal(merges, merges_of(bpe, [("words " * length)[:length]], 256 + 39))


@part("train_bpe", points=1)
@given(text_of(["\r\n", "\n", "\r", "a", "\r\n\r\n", " \r\n"]), SIZES)
def test_line_ends_are_bytes_like_all_others(bpe, text, vocab_size):
    """Carriage returns and line feeds stay as they are."""
    follow(text, vocab_size - 256, merges_of(bpe, text, vocab_size))


@part("train_bpe", points=1)
@given(st.data(), corpora(), st.integers(1, 3), SIZES)
def test_order_and_repetition_change_nothing(bpe, data, corpus, times, vocab_size):
    """The texts in another order, or the whole corpus several times over, give the same merges."""
    other = data.draw(st.permutations(corpus)) * times
    checks.equal(merges_of(bpe, other, vocab_size), merges_of(bpe, corpus, vocab_size))
