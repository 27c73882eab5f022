"""parse_calls and execute_calls: what a model asks for, found in a text and answered in it."""

from __future__ import annotations

import re
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.posttraining.strategies import (
    ARGUMENTS,
    LEFTOVERS,
    calls_in,
    expressions,
    texts_with_calls,
    written,
)

PARSE = "parse_calls"
EXECUTE = "execute_calls"


@part(PARSE, points=1)
@given(texts_with_calls())
def test_calls_are_found_from_left_to_right(posttraining, text):
    """Each call gives its place, its tool and its argument, in the order in which they stand."""
    checks.equal(posttraining.parse_calls(text), calls_in(text))


@part(PARSE, points=1)
@given(st.lists(st.sampled_from(ARGUMENTS[:6]), min_size=2, max_size=4), st.sampled_from(["", " ", " and ", "é "]))
def test_spans_cut_the_calls_out(posttraining, arguments, between):
    """text[start:end] is the whole call, with its brackets; a call ends at its own bracket, not at the last one."""
    text = between + between.join(f"[Calculator({argument})]" for argument in arguments)
    found = posttraining.parse_calls(text)
    checks.equal(found, calls_in(text))


@part(PARSE, points=1)
@given(texts_with_calls(), st.text("()1+", max_size=8), st.sampled_from(LEFTOVERS[:6]))
def test_parentheses_are_balanced(posttraining, text, argument, after):
    """An argument may hold parentheses, nested ones too, if each is opened before it is closed and none stays open."""
    text += f"[Calculator({argument})]{after}"
    checks.equal(posttraining.parse_calls(text), calls_in(text))


@part(PARSE, points=1)
@settings(max_examples=100)
@given(
    st.one_of(
        st.tuples(st.sampled_from(["Calculator ", "9a", "a_b", "", "é", "²", "A-", "aé"]), st.just("(1)]")),
        st.tuples(
            st.sampled_from(["Calculator", "x9"]),
            st.sampled_from(["(1) -> 2]", "(1)", "(1)) ]", " (1)]", "(1) ]", "(1\n2)]", "(a[0])]", "(1]", "(1"]),
        ),
    ).map("".join),
    texts_with_calls(max_pieces=2),
)
def test_everything_else_is_text(posttraining, strange, text):
    """A call with a result, a name with other signs, a space before `(` or `]`, a line end or a bracket in the
    argument, and a bracket that is not closed, are no calls.
    """
    text = f"{text} [{strange} {text}"
    checks.equal(posttraining.parse_calls(text), calls_in(text))


@part(PARSE, points=1)
@settings(max_examples=8)
@given(st.sampled_from(["[A(", "[Calculator((", "(", "[", "[A()", "[A(1) -> 2] ", "[a", ")]"]), texts_with_calls())
def test_long_texts_take_no_longer_than_they_must(posttraining, unit, text):
    """Thousands of brackets that begin no call take little time, and the calls after them are found."""
    text = unit * 3000 + "\n" + text
    checks.equal(posttraining.parse_calls(text), calls_in(text))


def executed(text: str) -> str:
    """The text with results, by one substitution of the only calls in it: those of simple sums."""
    return re.sub(r"\[Calculator\((\d+)\+(\d+)\)\]", lambda m: f"{m[0][:-1]} -> {int(m[1]) + int(m[2])}]", text)


@part(EXECUTE, points=1)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=4), st.sampled_from(LEFTOVERS))
def test_each_result_is_written_before_the_bracket(posttraining, sums, between):
    """`[Calculator(1+2)]` becomes `[Calculator(1+2) -> 3]`, each call of a text its own, and the rest stays."""
    text = between + between.join(f"so [Calculator({a}+{b})]" for a, b in sums) + between
    checks.equal(posttraining.execute_calls(text), executed(text))


@part(EXECUTE, points=1)
@given(st.lists(st.tuples(expressions(depth=2), st.booleans()), min_size=1, max_size=3))
def test_results_are_those_of_the_calculator(posttraining, items):
    """The result is what `calculator` returns, "error" included."""
    tail = "[Calculator(2**3)] [Calculator()] [Calculator(1/3)] [Calculator(1/0)]"
    text = " ".join(f"[Calculator({said})]" for (said, _, _), _ in items) + tail
    want = " ".join(f"[Calculator({said}) -> {written(value)}]" for (said, value, _), _ in items)
    want += "[Calculator(2**3) -> error] [Calculator() -> error]"
    want += f" [Calculator(1/3) -> {written(Fraction(1, 3))}] [Calculator(1/0) -> error]"
    checks.equal(posttraining.execute_calls(text), want)


@part(EXECUTE, points=1)
@given(texts_with_calls(tools=("QA", "calculator", "Calculator2", "Calculato")), st.integers(0, 9))
def test_everything_else_stays_as_it_is(posttraining, text, n):
    """Calls of other tools, calls that have a result, and what is no call, stay as they are; so nothing changes when a
    text is executed a second time.
    """
    text = text.replace("[Calculator(", "[QA(")
    once = posttraining.execute_calls(f"{text}[Calculator({n}+1)]{text}")
    checks.equal(once, f"{text}[Calculator({n}+1) -> {n + 1}]{text}")
    checks.equal(posttraining.execute_calls(once), once)
