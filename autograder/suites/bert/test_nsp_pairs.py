"""sample_nsp_pairs: half of the pairs follow each other, the others come from two documents.

What the statistical tests catch with probability 1 - 1e-9: in 4,000 pairs a share of random pairs of 0.61 or 0.39
instead of 0.5; in the 500 random sentences of each turn a document that is drawn with probability 0.79 instead of 0.5.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import PythonSeed, checks, draws, part, raises
from autograder.suites.bert.strategies import documents

NAME = "sample_nsp_pairs"


@part(NAME, points=2)
@given(documents(), draws.seeds())
def test_one_example_for_each_sentence_with_a_next_one(bert, documents, seed):
    """The first sentences are, in order, all those that have a next one in their document."""
    examples = bert.sample_nsp_pairs(documents, PythonSeed(seed))
    checks.equal([a for a, _, _ in examples], [a for document in documents for a in document[:-1]])


@part(NAME, points=2)
@given(documents(), draws.seeds())
def test_label_zero_is_the_next_sentence(bert, documents, seed):
    """`is_random` is the int 0 or 1, and where it is 0, `b` is the sentence after `a` in the same document."""
    examples = bert.sample_nsp_pairs(documents, PythonSeed(seed))
    following = [b for document in documents for b in document[1:]]
    checks.equal([type(label) is int and label in (0, 1) for _, _, label in examples], [True] * len(following))
    checks.equal(
        [b if label == 0 else None for _, b, label in examples],
        [b if label == 0 else None for b, (_, _, label) in zip(following, examples, strict=True)],
    )


@part(NAME, points=2)
@given(documents(), draws.seeds())
def test_label_one_is_a_sentence_of_another_document(bert, documents, seed):
    """Where `is_random` is 1, `b` is a whole sentence of a document other than that of `a`."""
    made = [[[s] for s in range(60)], [[-1]]]  # that none of 59 pairs is random has a probability of 2e-18
    checks.holds(
        any(b == [-1] and label == 1 for _, b, label in bert.sample_nsp_pairs(made, PythonSeed(seed))),
        "some pair of 59 is random", None, None,
    )  # fmt: skip
    home = {sentence[0]: d for d, document in enumerate(documents) for sentence in document}
    whole = {sentence[0]: sentence for document in documents for sentence in document}
    for a, b, label in bert.sample_nsp_pairs(documents, PythonSeed(seed)):
        if label == 1:
            checks.holds(home.get(b[0], home[a[0]]) != home[a[0]], "a random b is from another document", b, None)
            checks.equal(b, whole[b[0]])


@part(NAME, points=1)
@settings(max_examples=2)
@given(draws.seeds())
def test_half_of_the_pairs_are_random(bert, seed):
    """Each pair is random with probability 1/2, whatever the pair before it was."""
    made = [[[s] for s in range(4001)], [[-1]]]
    labels = [label for _, _, label in bert.sample_nsp_pairs(made, PythonSeed(seed))]
    checks.proportion(sum(labels), len(labels), 0.5, "the share of random pairs")
    together = [a + 2 * b for a, b in zip(labels[::2], labels[1::2], strict=True)]
    counts = [together.count(n) for n in range(4)]
    checks.frequencies(counts, [0.25] * 4, "the counts of 00, 10, 01 and 11 in neighbouring labels")


@part(NAME, points=1)
@settings(max_examples=2)
@given(draws.seeds())
def test_first_a_document_is_drawn_then_a_sentence(bert, seed):
    """A random `b` is of each other document with the same probability, and is any of its sentences with the same."""
    long = [[1000 + s] for s in range(1001)]
    made = [long, [[10]], [[20], [21], [22]]]
    for turn in range(3):  # the long document is the first, the last, the one between
        examples = bert.sample_nsp_pairs(made[turn:] + made[:turn], PythonSeed(seed + turn))
        counts = Counter(b[0] for a, b, label in examples if label == 1 and a[0] >= 1000)
        seen = [counts[b] for b in (10, 20, 21, 22)]
        what = "the counts of the one sentence of one document and the three of the other"
        checks.frequencies(seen, [1 / 2, 1 / 6, 1 / 6, 1 / 6], what)


@part(NAME, points=1)
@settings(max_examples=10)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1), min_size=2, max_size=4), draws.seeds())
def test_one_document_alone_raises(bert, document, seed):
    """With one document there is no random sentence to draw, which raises ValueError at once; with two it does not."""
    examples = bert.sample_nsp_pairs([document, [[10]]], PythonSeed(seed))
    checks.equal([a for a, _, _ in examples], document[:-1])
    with raises("ValueError"):
        bert.sample_nsp_pairs([document], PythonSeed(seed))


@part(NAME, points=1)
@settings(max_examples=10)
@given(draws.seeds())
def test_the_same_state_gives_the_same_pairs(bert, seed):
    """The same state of `rng` gives the same pairs, another one other pairs, and the documents stay as they are."""
    made = [[[10 * d + s] for s in range(8)] for d in range(10)]
    first, args, _ = bert.echo(bert.sample_nsp_pairs, made, PythonSeed(seed))
    checks.equal([a for a, _, _ in first], [a for document in made for a in document[:-1]])
    checks.equal(args[0], made)
    checks.equal(bert.sample_nsp_pairs(made, rng=PythonSeed(seed)), first)
    other = bert.sample_nsp_pairs(made, PythonSeed(seed + 1))
    checks.holds(other != first, "another state gives other pairs", other)
