"""fill_mask: the most probable words for a blank, by a model whose answers are known."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, checks, draws, part, raises
from autograder.suites.bert.strategies import normal

NAME = "fill_mask"
WORDS = ["[PAD]", "[SEP]", "[MASK]", "[CLS]", "hot", "tea", "the", "milk"]
PLAIN = st.sampled_from(WORDS[4:])


def parts(bert, seed: int, training: bool = False, dtype: torch.dtype = torch.float64):
    """(model, tokenizer, table): the model looks its answers up by the two neighbours of a blank."""
    table = (normal((len(WORDS),) * 3, seed) * 2).to(dtype)
    model = bert.make(Given("cloze.Neighbours"), table)
    if not training:
        model.eval()
    return model, bert.make(Given("cloze.Words"), WORDS), table


def text(before: list[str], after: list[str]) -> str:
    return " ".join([*before, "[MASK]", *after])


def probabilities(before: list[str], after: list[str], table: torch.Tensor) -> torch.Tensor:
    left, right = (before or ["[CLS]"])[-1], (after or ["[SEP]"])[0]
    return table[WORDS.index(left), WORDS.index(right)].softmax(-1)


SIDES = st.lists(PLAIN, max_size=3)


@part(NAME, points=2)
@given(SIDES, SIDES, st.integers(1, 10), draws.seeds())
def test_the_best_words_with_their_probabilities(bert, before, after, k, seed):
    """The k words with the highest probability of all words, best first, each with its probability at the blank."""
    model, tokenizer, table = parts(bert, seed)
    wanted = probabilities(before, after, table)
    best = sorted(range(len(WORDS)), key=lambda i: -float(wanted[i]))[:k]
    returned = bert.fill_mask(model, tokenizer, text(before, after), k=k)
    checks.close(returned, [(WORDS[i], float(wanted[i])) for i in best], rtol=1e-6)


@part(NAME, points=1)
@settings(max_examples=20)
@given(SIDES, SIDES, draws.seeds())
def test_the_model_sees_the_text_between_cls_and_sep(bert, before, after, seed):
    """The model is given one row: [CLS], the ids of the text, [SEP]; five words come back where k is not said."""
    model, tokenizer, _ = parts(bert, seed)
    returned = bert.fill_mask(model, tokenizer, text(before, after))
    checks.equal(model.seen, [[WORDS.index(word) for word in ["[CLS]", *before, "[MASK]", *after, "[SEP]"]]])
    checks.holds(len(returned) == 5, "there are five words", returned)


@part(NAME, points=1)
@settings(max_examples=20)
@given(SIDES, SIDES, draws.seeds(), st.booleans())
def test_the_model_is_asked_in_evaluation_mode(bert, before, after, seed, training):
    """The model answers in evaluation mode and without gradients, and is in its own mode afterwards."""
    model, tokenizer, table = parts(bert, seed, training)
    returned = bert.fill_mask(model, tokenizer, text(before, after), 1)
    checks.close(returned[0][1], float(probabilities(before, after, table).max()), rtol=1e-6)
    checks.equal((model.gradients, model.training), (False, training))


@part(NAME, points=1)
@settings(max_examples=20)
@given(st.lists(PLAIN, min_size=1, max_size=4), st.integers(0, 2))
def test_no_blank_or_several_raise(bert, words, blanks):
    """A text without [MASK], or with two, raises ValueError; with one it does not."""
    model, tokenizer, _ = parts(bert, 0)
    line = " ".join([*words, *["[MASK]", "tea"] * blanks])
    if blanks == 1:
        checks.holds(len(bert.fill_mask(model, tokenizer, line, k=2)) == 2, "one blank is filled")
        return
    with raises("ValueError"):
        bert.fill_mask(model, tokenizer, line, k=2)
