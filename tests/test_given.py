"""What student code may import: texts that are really there, a tokenizer that loses nothing, models that are tables."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.given import corpus
from autograder.given.parameters import Parameters, before_and_after, set_option
from autograder.given.statistics import largest, largest_gaps, means
from autograder.given.tables import TableModel
from autograder.given.tokenizer import Tokenizer


def test_the_installation_has_text():
    assert len(corpus.topics()) > 50
    assert sum(map(len, corpus.topics())) > 300_000
    assert sum(map(len, corpus.docstrings())) > 1_000_000
    assert sum(map(len, corpus.sources())) > 8_000_000
    assert corpus.docstrings() == corpus.docstrings()


def test_reading_sources_imports_none_of_them():
    program = (
        "import sys; from autograder.given import corpus; corpus.docstrings(); "
        "assert 'this' not in sys.modules and 'antigravity' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_lists_belong_to_the_caller():
    corpus.sources().clear()
    assert corpus.sources()


def test_sentences_end_at_full_stops_and_paragraphs():
    text = "One. Two\nlines!  Three?\n  \nA heading\n\n\n3.14 is pi."
    assert corpus.sentences(text) == ["One.", "Two lines!", "Three?", "A heading", "3.14 is pi."]
    assert corpus.sentences(" \n\n") == []
    assert corpus.documents([text, "", "Alone."]) == [["One.", "Two lines!", "Three?"]]


def test_documents_of_the_topics_are_many():
    documents = corpus.documents(corpus.topics())
    assert len(documents) > 500
    assert all(len(document) > 1 and all(document) for document in documents)


def test_generated_text_never_moves():
    text = repr(corpus.generated(50, seed=7)).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == "ac74f3b001a8a429"


def test_generated_text_is_a_function_of_its_seed():
    assert corpus.generated(5, seed=1) == corpus.generated(5, seed=1) != corpus.generated(5, seed=2)
    assert corpus.generated(5) == corpus.generated(9)[:5]
    assert corpus.generated(0) == []


def test_generated_words_are_zipfian_and_sentences_end():
    documents = corpus.generated(2000)
    assert all(4 <= len(document) <= 8 for document in documents)
    assert all(sentence[0].isupper() and sentence[-1] in ".!" for document in documents for sentence in document)
    words = [word.strip(".!").lower() for document in documents for sentence in document for word in sentence.split()]
    counts = [count for _, count in Counter(words).most_common()]
    assert 500 < len(counts) < 2000
    assert counts[3] / counts[300] > 20


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([" ".join(document) for document in corpus.generated(100)], 600, ["[MASK]", "<extra_id_0>"])


@settings(max_examples=200)
@given(st.text(st.characters(exclude_characters="\u2581", exclude_categories=["Cs"])))
def test_decoding_gives_the_text_back(tokenizer, text):
    if "[MASK]" not in text and "<extra_id_0>" not in text:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(0 <= i < tokenizer.vocab_size for i in ids)
        assert tokenizer.unk_id not in ids


def test_spaces_and_lines_are_kept(tokenizer):
    for text in (" a", "  a ", "a  b", "\n", "a\n  b\n", "\t", "\0", "    ", ""):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_first_ids_are_fixed(tokenizer):
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2, 3)
    assert (tokenizer.id("[MASK]"), tokenizer.id("<extra_id_0>")) == (4, 5)
    assert tokenizer.decode([0, 2, 3]) == ""
    assert tokenizer.encode("") == []
    with pytest.raises(KeyError):
        tokenizer.id("[NONE]")


def test_a_special_is_one_id_that_takes_its_space(tokenizer):
    plain = tokenizer.encode("the some")
    assert tokenizer.encode("the [MASK] some") == [plain[0], 4, *plain[1:]]
    assert tokenizer.encode("[MASK]") == [4]
    assert tokenizer.encode("[MASK] [MASK]<extra_id_0>") == [4, 4, 5]
    assert tokenizer.decode(tokenizer.encode("[MASK] a [MASK] b <extra_id_0>")) == "[MASK] a [MASK] b <extra_id_0>"


def test_training_is_deterministic_and_needs_room():
    texts = ["some text", "other text"]
    a, b = Tokenizer.train(texts, 300), Tokenizer.train(iter(texts), 300)
    assert a.encode("some other text") == b.encode("some other text")
    assert a.vocab_size <= 300
    with pytest.raises(ValueError, match="20 ids"):
        Tokenizer.train(texts, 20)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_a_table_is_looked_up_by_the_last_tokens(order):
    table = torch.randn((3,) * (order + 1), dtype=torch.float64)
    model = TableModel(table)
    ids = torch.tensor([[2, 1, 0, 2], [1, 1, 2, 0]])
    logits = model(ids)
    assert logits.shape == (2, 4, 3)
    for row, sequence in enumerate(ids.tolist()):
        for t in range(4):
            context = [0, 0, 0, *sequence[: t + 1]]
            assert torch.equal(logits[row, t], table[tuple(context[len(context) - order :])])
    assert model.calls == 1


def test_a_table_has_a_context_and_no_cache():
    model = TableModel(torch.zeros(2, 2), context_length=3)
    assert model.config.context_length == 3
    with pytest.raises(ValueError, match="4 tokens"):
        model(torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="cache"):
        model(torch.zeros(1, 2, dtype=torch.long), cache=object())


def test_parameters_carry_the_gradients_that_they_are_given():
    held = Parameters([torch.ones(2), torch.zeros(1, 3)])
    held.set_gradients([torch.full((2,), 3.0), None])
    optimizer = torch.optim.SGD([{"params": held.parameters()}], lr=1.0)
    set_option(optimizer, "lr", [0.5])
    optimizer.step()
    assert [value.tolist() for value in held.values()] == [[-0.5, -0.5], [[0.0, 0.0, 0.0]]]
    assert [None if g is None else g.tolist() for g in held.gradients()] == [[3.0, 3.0], None]


def test_a_result_that_moves_is_seen_to_move():
    kept = [1]

    def grow(item: int) -> list[int]:
        kept.append(item)
        return kept

    assert before_and_after(grow, [], {"item": 2}, {"item": 3}) == ([1, 2], [1, 2, 3])


def test_statistics_are_taken_sample_by_sample():
    samples = torch.tensor([[[1.0, 2.0], [3.0, 7.0]], [[0.0, 0.0], [5.0, 5.0]]])  # two samples of two pairs
    assert means(samples).tolist() == [[2.0, 4.5], [2.5, 2.5]]
    assert largest(samples).tolist() == [[3.0, 7.0], [5.0, 5.0]]
    assert largest_gaps(samples).tolist() == [4.0, 0.0]
