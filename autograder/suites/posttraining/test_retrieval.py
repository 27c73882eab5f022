"""bm25_scores, retrieve, holds_answer and answer_with_citations: looking it up, and saying where."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import Given, checks, part
from autograder.suites.posttraining.strategies import (
    WORDS,
    bm25,
    cited,
    clear,
    documents,
    holds,
    queries,
    ranked,
)

BM25 = "bm25"
CITE = "citations"


def scores_agree(returned: torch.Tensor, expected: list[float]) -> None:
    checks.close(returned, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)


@part(BM25, points=2)
@given(queries(), documents())
def test_scores_are_those_of_the_formula(posttraining, query, texts):
    """A score is the sum over the terms of the query, each as often as it is there, of idf and saturated frequency."""
    scores_agree(posttraining.bm25_scores(query, texts), bm25(query, texts))


@part(BM25, points=1)
@given(queries(), documents(), st.sampled_from([0.0, 0.5, 1.2, 2.0, 10.0]), st.sampled_from([0.0, 0.3, 0.75, 1.0]))
def test_k1_saturates_and_b_normalises(posttraining, query, texts, k1, b):
    """`k1` says how soon more occurrences count no more, `b` how much length counts: not at all at 0, fully at 1."""
    scores_agree(posttraining.bm25_scores(query, texts, k1=k1, b=b), bm25(query, texts, k1, b))


@part(BM25, points=1)
@given(queries(), documents(min_size=0), st.sampled_from([0.0, 1.5]), st.sampled_from([0.0, 1.0]))
def test_nothing_in_common_scores_zero(posttraining, query, texts, k1, b):
    """A document without a term of the query scores exactly 0, also an empty one, and also where all are empty."""
    texts = [*texts, ""]
    scores_agree(posttraining.bm25_scores(query, texts, k1=k1, b=b), bm25(query, texts, k1, b))
    checks.equal(posttraining.bm25_scores(query, ["", ""], k1=k1, b=b), torch.zeros(2, dtype=torch.float64))
    checks.equal(posttraining.bm25_scores(query, [], k1=k1, b=b), torch.zeros(0, dtype=torch.float64))


@part(BM25, points=1)
@given(st.integers(1, 4), st.integers(1, 3), st.sampled_from(["tea", "ada"]))
def test_rare_terms_weigh_more_and_never_less_than_nothing(posttraining, n_common, n_filler, rare):
    """A term that few documents hold adds more than one that most hold, and even one that all hold adds something."""
    texts = [f"the {rare}"] + ["the x"] * n_common + ["x hot"] * n_filler
    scores_agree(posttraining.bm25_scores(f"the {rare}", texts), bm25(f"the {rare}", texts))
    scores_agree(posttraining.bm25_scores("the the", ["the"] * n_common), bm25("the the", ["the"] * n_common))


@part(BM25, points=1)
@given(queries(), documents(max_size=7), st.integers(1, 8))
def test_the_best_documents_come_first(posttraining, query, texts, k):
    """`retrieve` returns the indices of the k best documents, the best first."""
    assume(clear(query, texts))
    checks.equal(posttraining.retrieve(query, texts, k), ranked(query, texts)[:k])


@part(BM25, points=1)
@given(st.sampled_from(WORDS[:4]), st.lists(st.sampled_from(WORDS[:4]), max_size=8), st.integers(0, 9))
def test_ties_keep_their_order_and_zeros_stay_out(posttraining, query, texts, k):
    """Documents with equal scores keep their order; those without a term of the query are not returned."""
    checks.equal(posttraining.retrieve(query, texts, k), ranked(query, texts)[:k])


# --- citations


@st.composite
def readings(draw: st.DrawFn, min_size: int = 2) -> tuple[str, list[str], dict[str, tuple[str, float]]]:
    """(question, documents, what is read in them): mostly words of the documents, and some that none holds."""
    bodies = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
    drawn = draw(st.lists(bodies, min_size=min_size, max_size=5, unique=True))
    texts = [f"{text} tea" if draw(st.integers(0, 4)) else text for text in drawn]
    texts = list(dict.fromkeys(texts))
    question = draw(st.sampled_from(["tea", "tea", "the tea", "ada tea"]))
    assume(clear(question, texts))
    invented = st.sampled_from(["181", "never", "", "born in", "hot!", "in the"])
    answers = {}
    for text in texts:
        said = st.sampled_from(text.split()).map(str.capitalize)
        answers[text] = draw(st.one_of(said, said, invented)), draw(st.sampled_from([1.0, 0.5, 0.0]))
    return question, texts, answers


@st.composite
def contests(draw: st.DrawFn) -> tuple[str, list[str], dict[str, tuple[str, float]]]:
    """The same, with three documents that score alike and two readings of which the reader is equally sure."""
    words = draw(st.permutations(["1815", "hot", "ada"]))
    texts = [f"tea {word}" for word in words]
    said = [draw(st.sampled_from([word, word, "never"])) for word in words]
    return "tea", texts, dict(zip(texts, zip(said, draw(st.permutations([0.5, 1.0, 1.0])))))


def reader_of(posttraining: Any, answers: dict[str, tuple[str, float]]) -> Any:
    return posttraining.make(Given("chat.Reader"), answers)


@part(CITE, points=1)
@settings(max_examples=100)
@given(readings(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(1, 4), contests())
def test_the_most_confident_supported_answer_wins(posttraining, case, threshold, k, contest):
    """Of the answers that a retrieved document holds, the most confident is returned; what none holds is dropped,
    however sure the reader is.
    """
    found = posttraining.answer_with_citations(*case[:2], reader_of(posttraining, case[2]), threshold, k)
    checks.equal(found, cited(*case, threshold, k))
    found = posttraining.answer_with_citations(*contest[:2], reader_of(posttraining, contest[2]), 0.5)
    checks.equal(found, cited(*contest, 0.5))


@part(CITE, points=1)
@given(readings(), st.integers(0, 4), st.sampled_from(["x", "ada"]))
def test_below_the_threshold_it_abstains(posttraining, case, confidence, answer):
    """A confidence of exactly the threshold is enough; below it, and where nothing is found, the result is None."""
    question, texts, _ = case
    texts = [*texts, f"tea {answer}"]
    assume(clear(question, texts))
    answers = {text: (answer, confidence / 4) for text in texts}
    for threshold in (confidence / 4, confidence / 4 + 0.01):
        found = posttraining.answer_with_citations(question, texts, reader_of(posttraining, answers), threshold)
        checks.equal(found, cited(question, texts, answers, threshold))
    reader = reader_of(posttraining, answers)
    checks.equal(posttraining.answer_with_citations("nothing", texts, reader, 0.0), None)


@part(CITE, points=1)
@settings(max_examples=100)
@given(
    readings(min_size=3),
    st.integers(1, 4),
    st.permutations(["tea 1815", "tea 1815 in the", "tea in", "tea x 1815", "tea 1815 hot x ada"]),
)
def test_every_citation_holds_the_answer(posttraining, case, k, holders):
    """Cited are the retrieved documents that hold the answer, all of them and no others, by their numbers from 1, in
    ascending order.
    """
    question, texts, answers = case
    sure = {text: (next((w for w in ("1815", "ada", "the") if holds(text, w)), "x"), 1.0) for text in answers}
    found = posttraining.answer_with_citations(question, texts, reader_of(posttraining, sure), 0.5, k=k)
    checks.equal(found, cited(question, texts, sure, 0.5, k))
    sure = {text: ("1815", 1.0) for text in holders}
    found = posttraining.answer_with_citations("tea", holders, reader_of(posttraining, sure), 0.5, k=k)
    checks.equal(found, cited("tea", holders, sure, 0.5, k))


@part(CITE, points=1)
@settings(max_examples=100)
@given(
    documents(min_size=1, max_size=1), st.permutations(WORDS), st.sampled_from([[0, 1], [1, 0], [0, 2], [0], [2, 1, 0]])
)
def test_an_answer_is_held_word_by_word(posttraining, texts, words, order):
    """A document holds an answer if its words stand there side by side, in any case and with any punctuation; a part of
    a word does not count, and an answer without a word is held by none.
    """
    (text,) = texts
    for answer in (words[0], text.upper(), text[1:], "—"):
        checks.equal(posttraining.holds_answer(text, answer), holds(text, answer))
    text = " ".join(["in", *words[:3], "1815"])
    answer = "-".join(words[i] for i in order)
    checks.equal(posttraining.holds_answer(text, answer), holds(text, answer))
    checks.equal(posttraining.holds_answer(text, answer + "5"), holds(text, answer + "5"))
    checks.equal(posttraining.holds_answer(text, answer[:-1]), holds(text, answer[:-1]))


@part(CITE, points=1)
@given(readings(min_size=3), st.integers(1, 3))
def test_only_retrieved_documents_are_read_and_the_best_first(posttraining, case, k):
    """The reader is asked about the k retrieved documents, the best first, and about no others."""
    question, texts, answers = case
    reader = reader_of(posttraining, answers)
    found = posttraining.answer_with_citations(question, texts, reader, 0.25, k)
    checks.equal(found, cited(question, texts, answers, 0.25, k))
    checks.equal(reader.asked, [(question, texts[i]) for i in ranked(question, texts)[:k]])
