"""collate_pairs: what the model eats."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.bert.strategies import CLS, PAD, SEP, sentences, truncated

NAME = "collate_pairs"
IDS = {"pad_id": PAD, "cls_id": CLS, "sep_id": SEP}


def examples(
    words: st.SearchStrategy[list[int]] | None = None,
) -> st.SearchStrategy[list[tuple[list[int], list[int], int]]]:
    words = sentences() if words is None else words
    return st.lists(st.tuples(words, words, st.integers(0, 1)), min_size=1, max_size=4)


def pairs(examples, max_len):
    """(ids, segments) of each example, by the definition."""
    cut = [truncated(a, b, max_len - 3) for a, b, _ in examples]
    return [([CLS, *a, SEP, *b, SEP], [0] * (len(a) + 2) + [1] * (len(b) + 1)) for a, b in cut]


def rows(lists, filling):
    longest = max(map(len, lists))
    return torch.tensor([row + [filling] * (longest - len(row)) for row in lists])


def collate(bert, examples, max_len):
    """The five tensors, by name, from a submission's own examples."""
    made = [bert.NSPExample(a, b, label) for a, b, label in examples]
    batch = bert.collate_pairs(made, max_len=max_len, **IDS)
    checks.holds(isinstance(batch, tuple) and len(batch) == 5, "a batch is a PairBatch of five tensors", batch)
    return dict(zip(("input_ids", "segment_ids", "attention_mask", "special_mask", "nsp_labels"), batch, strict=True))


@part(NAME, points=2)
@given(examples(), st.integers(5, 16))
def test_each_row_is_a_padded_pair(bert, examples, max_len):
    """Row i holds pair i and its segments, padded on the right with `pad_id` and segment 0; labels are those given."""
    batch = collate(bert, examples, max_len)
    wanted = pairs(examples, max_len)
    checks.equal(batch["input_ids"], rows([ids for ids, _ in wanted], PAD))
    checks.equal(batch["segment_ids"], rows([segments for _, segments in wanted], 0))
    checks.equal(batch["nsp_labels"], torch.tensor([label for _, _, label in examples]))


@part(NAME, points=1)
@given(examples(st.lists(st.sampled_from([PAD, 5, 6]), min_size=1, max_size=4)))
def test_attention_mask_is_true_at_real_tokens(bert, examples):
    """`attention_mask` is True at the tokens of a pair, also at a `pad_id` in a sentence, and False at the padding."""
    batch = collate(bert, examples, 16)
    checks.equal(batch["attention_mask"], rows([[True] * len(ids) for ids, _ in pairs(examples, 16)], False))


@part(NAME, points=1)
@given(examples(st.lists(st.sampled_from([PAD, 5, 6]), min_size=1, max_size=4)))
def test_special_mask_is_true_at_cls_sep_and_padding(bert, examples):
    """`special_mask` is True at [CLS], at both [SEP] and at the padding, and False at every token of a sentence."""
    batch = collate(bert, examples, 16)
    special = [[True] + [False] * len(a) + [True] + [False] * len(b) + [True] for a, b, _ in examples]
    checks.equal(batch["special_mask"], rows(special, True))
