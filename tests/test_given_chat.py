"""What post-training is tested with: a tokenizer that nobody can forge, a model of one table, a reader of documents."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.given.chat import Pieces, Reader, Table

CONTROLS = ["<|user|>", "<|end|>"]
TOKENIZER = Pieces(["ab", "abc", " a", "<|", "é"], CONTROLS)
texts = st.lists(st.sampled_from(["a", "b", "abc", " ", "<|", "|>", "end", "é", "日", *CONTROLS])).map("".join)


@given(st.one_of(texts, st.text()))
def test_decoding_gives_back_what_was_encoded(text):
    assert TOKENIZER.decode(TOKENIZER.encode_ordinary(text)) == text
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(texts)
def test_only_encode_finds_control_tokens(text):
    controls = [TOKENIZER.id(control) for control in CONTROLS]
    assert not set(TOKENIZER.encode_ordinary(text)) & set(controls)
    assert sum(i in controls for i in TOKENIZER.encode(text)) == sum(text.count(control) for control in CONTROLS)


def test_the_longest_piece_is_taken():
    assert TOKENIZER.encode_ordinary("abcab") == [4 + 256 + 1, 4 + 256]
    assert TOKENIZER.encode_ordinary("ba") == [4 + ord("b"), 4 + ord("a")]


def test_ids_are_pad_eos_controls_bytes_and_pieces():
    assert (TOKENIZER.pad_id, TOKENIZER.eos_id) == (0, 1)
    assert [TOKENIZER.id(control) for control in CONTROLS] == [2, 3]
    assert TOKENIZER.vocab_size == 4 + 256 + 5
    assert TOKENIZER.decode([0, 1, 2]) == "<|user|>"
    with pytest.raises(KeyError):
        TOKENIZER.id("<|other|>")


def test_a_table_model_tells_when_its_graphs_came_and_went():
    model = Table(torch.eye(3), gradient=torch.ones(3, 3))
    for _ in range(2):
        model(torch.tensor([[2, 0]])).sum().backward()
    assert model.events == ["forward", "backward"] * 2
    expected = torch.tensor([[2.0], [0.0], [2.0]]).expand(3, 3) + 1
    assert torch.equal(model.gradient(), expected)
    with torch.no_grad():
        assert model(torch.tensor([[1]]), torch.tensor([[2.0]])).tolist() == [[[0.0, 2.0, 0.0]]]
    assert model.events == ["forward", "backward"] * 2


def test_a_reader_remembers_what_it_was_asked():
    reader = Reader({"Tea is hot.": ("hot", 0.9)})
    assert reader("How?", "Tea is hot.") == ("hot", 0.9)
    assert reader("How?", "Else.") == ("", 0.0)
    assert reader.asked == [("How?", "Tea is hot."), ("How?", "Else.")]
