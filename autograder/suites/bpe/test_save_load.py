"""A tokenizer as a file."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, checks, part
from autograder.suites.bpe.strategies import BYTES, RICH, joined, special_lists, texts, texts_with, trained, words


def saved(bpe, tokenizer):
    """The path of a new file that the tokenizer was saved to."""
    (path,) = bpe.make(Given("files.temporary"), "tokenizer.json")
    tokenizer.save(path)
    return path


def stands_for(vocab, special_tokens, ids, text):
    """Two tokenizers that make nothings of every text agree: these ids are the text's."""
    checks.holds(joined(vocab, special_tokens, ids) == text.encode(), "the ids stand for the bytes of the text", ids)


@part("save_load", points=1)
@given(st.permutations([(b"a", b"b"), (b"b", b"a"), (b"b", b"c"), (b"c", b"a")]), words("abc"))
def test_the_loaded_tokenizer_encodes_as_before(bpe, merges, text):
    """What was saved and loaded has the same merges in the same order."""
    vocab = BYTES | {256 + k: a + b for k, (a, b) in enumerate(merges)}
    tokenizer = bpe.Tokenizer(vocab, merges)
    loaded = bpe.Tokenizer.load(saved(bpe, tokenizer))
    checks.equal(loaded.encode(text), tokenizer.encode(text))
    stands_for(vocab, [], loaded.encode(f"{text}ab"), f"{text}ab")


@part("save_load", points=1)
@given(trained(), texts())
def test_the_loaded_tokenizer_decodes_as_before(bpe, made, text):
    """What was saved and loaded has the same tokens, those that are no text by themselves too."""
    tokenizer = bpe.Tokenizer(*made)
    ids = list(text.encode()) + list(made[0])[256:]
    loaded = bpe.Tokenizer.load(saved(bpe, tokenizer))
    checks.equal(loaded.decode(ids), tokenizer.decode(ids))
    checks.equal(loaded.decode(list(b"a word")), "a word")


@part("save_load", points=1)
@given(st.data(), trained(special_lists(max_size=2)), special_lists(min_size=1, max_size=2))
def test_special_tokens_are_saved(bpe, data, made, special_tokens):
    """The loaded tokenizer knows its special tokens, those that the vocabulary lacked too."""
    text = data.draw(texts_with(special_tokens))
    tokenizer = bpe.Tokenizer(made[0], made[1], special_tokens)
    loaded = bpe.Tokenizer.load(saved(bpe, tokenizer))
    checks.equal(loaded.encode(text), tokenizer.encode(text))
    stands_for(made[0], special_tokens, loaded.encode(f"a{text}"), f"a{text}")


@part("save_load", points=1, kind="self-reported")
@settings(max_examples=20)
@given(trained(special_lists()))
def test_the_file_is_json(bpe, made):
    """The file is JSON, readable in any language."""
    text = bpe.make(Given("files.text"), saved(bpe, bpe.Tokenizer(*made)))
    try:
        json.loads(text)
    except ValueError:
        checks.holds(False, "the file is JSON", text)


@part("save_load", points=1)
@settings(max_examples=20)
@given(st.sampled_from(["the", "ab the", "abc"]), st.integers(20, len(RICH[1])))
def test_each_path_is_a_file_of_its_own(bpe, text, n_merges):
    """Two tokenizers that are saved to two paths of one folder stay two; a path may be a string."""
    first, second = bpe.make(Given("files.temporary"), "first.json", "second.json")
    merges = RICH[1][:n_merges]
    tokenizer = bpe.Tokenizer({i: RICH[0][i] for i in range(256 + n_merges)}, merges)
    plain = bpe.Tokenizer(BYTES, [])
    tokenizer.save(first.as_posix())
    plain.save(second)
    checks.equal(bpe.Tokenizer.load(first).encode(text), tokenizer.encode(text))
    checks.equal(bpe.Tokenizer.load(second.as_posix()).encode(text), plain.encode(text))
    stands_for(BYTES, [], plain.encode(text), text)
