"""extract_answer and self_consistency: one number out of a text, one answer out of many."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.posttraining.strategies import majority, numbers_in, text_of

EXTRACT = "extract_answer"
VOTE = "self_consistency"


def last(text: str) -> str | None:
    found = numbers_in(text)
    return found[-1] if found else None


WORDS = ["so", " ", " = ", "is ", "$", "%", "x", "\n", "é", "(", ")", "The answer is ", "none"]
NUMBERS = ["72", "5", "0", "1,234", "12,345,678", "3.50", "1,000.25", "0.5", "1234", "007"]


@part(EXTRACT, points=1)
@settings(max_examples=100)
@given(text_of([*WORDS, *NUMBERS], 7))
def test_it_is_the_last_number(posttraining, text):
    """The answer is the last number of the text, as it is written but for commas; None where there is no number."""
    checks.equal(posttraining.extract_answer(text), last(text))


# Groups of digits between commas, mostly of three, in one text or in several.
GROUPS = st.lists(st.sampled_from(["1", "23", "234", "567", "890", "1234", " 12", ""]), min_size=2, max_size=5)


@part(EXTRACT, points=1)
@settings(max_examples=100)
@given(
    st.tuples(st.sampled_from(["", "is ", "1", "$"]), GROUPS.map(",".join), st.sampled_from(["", ".5", "."])).map(
        "".join
    )
)
def test_commas_belong_between_groups_of_three(posttraining, text):
    """A comma is part of a number only between groups of three digits, with one to three before the first."""
    checks.equal(posttraining.extract_answer(text), last(text))


@part(EXTRACT, points=1)
@settings(max_examples=100)
@given(
    st.tuples(
        st.sampled_from(["", "5", "2.5", "a", "é", "(2)", "x)", "(", " ", "= ", "$", ".", "2 ", "-", ","]),
        st.sampled_from(["-", "-", "-", "- ", "--", ""]),
        st.sampled_from(["3", "12", "4.5", "1,000"]),
        st.sampled_from(["", ".", "-", " so"]),
    ).map("".join)
)
def test_a_minus_may_be_a_sign_or_a_subtraction(posttraining, text):
    """A minus before a number is its sign, unless a letter, a digit or a closing parenthesis stands before it."""
    checks.equal(posttraining.extract_answer(text), last(text))


@part(EXTRACT, points=1)
@settings(max_examples=100)
@given(text_of(["72", "1,234", "3.5", "-8"], 1), text_of([".", ",", ", in total, so", "!", " ...", "?", ".\n", "%"], 3))
def test_the_sentence_keeps_its_full_stops_and_commas(posttraining, number, after):
    """Full stops and commas after a number, or alone, belong to the sentence: "72, in total, so" gives "72"."""
    text = f"It is {number}{after}"
    checks.equal(posttraining.extract_answer(text), last(text))


KINDS = [
    ["3", "3.0", "03", "4"], ["-0", "0", "-4", "4.00"], ["B", "b", "b ", "C"], ["3", "3 ", None, "+3"],
]  # fmt: skip
ANSWERS = st.sampled_from(KINDS).flatmap(lambda kind: st.lists(st.sampled_from(kind), min_size=3, max_size=7))


@part(VOTE, points=1)
@given(st.lists(st.sampled_from(["1", "2", "3", "yes", None]), max_size=9))
def test_the_majority_wins(posttraining, answers):
    """The answer with the most votes wins; None does not vote, and where nobody votes the result is None."""
    checks.equal(posttraining.self_consistency(answers), majority(answers))


@part(VOTE, points=1)
@settings(max_examples=100)
@given(ANSWERS, st.integers(2**53, 2**54), st.permutations([0, 1, 1]))
def test_equal_numbers_are_one_answer(posttraining, answers, large, more):
    """ "3", "3.0" and "03" vote together and come back in the spelling that was first; two texts agree only if they are
    the same.
    """
    checks.equal(posttraining.self_consistency(answers), majority(answers))
    checks.equal(posttraining.self_consistency([str(large + n) for n in more]), str(large + 1))


@part(VOTE, points=1)
@given(st.permutations(["5", "6", "7", "5", "6", "7", None, "x"]), st.integers(0, 3))
def test_a_tie_goes_to_the_answer_that_was_seen_first(posttraining, answers, drop):
    """Of answers with equally many votes the one seen first wins."""
    checks.equal(posttraining.self_consistency(answers[drop:]), majority(answers[drop:]))
