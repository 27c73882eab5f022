"""calculator: exact, and not to be broken."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part
from autograder.suites.posttraining.strategies import expressions, written

NAME = "calculator"


def short(case: tuple[str, Fraction | None, str]) -> bool:
    return len(case[0]) <= 150


@part(NAME, points=2)
@settings(max_examples=100)
@given(expressions().filter(short), st.sampled_from(["", " ", "   "]), st.sampled_from(["", "-", "--", "-+-", "+--"]))
def test_it_calculates(posttraining, case, around, signs):
    """The value of sums, differences, products and quotients, with signs, parentheses and spaces, under the usual
    precedence and from left to right among equals.
    """
    text, value, _ = case
    checks.equal(posttraining.calculator(around + text + around), written(value))
    sign = (-1) ** signs.count("-")
    checks.equal(posttraining.calculator(f"10-{signs}7-{signs}(1-3)"), str(10 - sign * 5))


@part(NAME, points=1)
@given(st.integers(-5000, 5000), st.sampled_from([2, 3, 7, 8, 40, 200, 400, 1000, 10**6]))
def test_other_values_have_two_decimals(posttraining, a, b):
    """A value that is no whole number is rounded to two decimals, halves to the even digit, and has both of them; a
    whole number has none; nothing is written "-0.00".
    """
    text = f"{a}/{b}" if a % 3 else f"({a})/{b}"
    checks.equal(posttraining.calculator(text), written(Fraction(a, b)))


@part(NAME, points=1)
@given(st.integers(10**15, 10**40), st.integers(10**15, 10**40), st.sampled_from("+-*"), st.integers(1, 99))
def test_values_are_exact(posttraining, a, b, operation, cents):
    """No digit is lost: not of large numbers, and not of decimals such as 0.1."""
    value = {"+": a + b, "-": a - b, "*": a * b}[operation]
    checks.equal(posttraining.calculator(f"{a}{operation}{b}"), str(value))
    checks.equal(posttraining.calculator(f"0.{cents:02} * 3 - 0.{cents:02} - 0.{cents:02}*2"), "0")
    checks.equal(posttraining.calculator(f"{a}/3*3"), str(a))
    checks.equal(posttraining.calculator(f"{a}.005-{a}"), "0.00")


@part(NAME, points=1)
@given(expressions(depth=2).filter(short), st.sampled_from(["1/0", "1/(2-2)", "(0/0)", "3/(1/2-0.5)", "1/-0"]))
def test_division_by_zero_is_an_error(posttraining, case, zero):
    """Where something is divided by 0 the result is "error", whatever happens to it then."""
    text, value, _ = case
    checks.equal(posttraining.calculator(text), written(value))
    for whole in (zero, f"0*({zero})", f"({text})+{zero}", f"({text})-{zero}*0"):
        checks.equal(posttraining.calculator(whole), "error")


NO_EXPRESSIONS = [
    "", " ", "()", "1 2", "1+", "*2", "(1", "1)", "1,000", "1_000", "1e3", "0x10", "1.2.3", ".", "...", "x", "1+x",
    "abs(1)", "2(3)", "(2)(3)", "(1,2)", "1;2", "1=1", "True", "None", "1\n", "\n1", "1\t+2", "٣", "²", "1+-", "[1]",
    "1 if 1 else 2", "__import__('os')", "inf", "nan", "1j", "'1'", "~1", "1<2", "(.)", "1 .5", "1#2", "\u00a01",
]  # fmt: skip


@part(NAME, points=1)
@given(st.lists(st.sampled_from(NO_EXPRESSIONS), min_size=12, max_size=12, unique=True), st.integers(2, 9))
def test_anything_else_is_an_error(posttraining, texts, n):
    """Names, commas, exponents, missing numbers or parentheses, other signs, and nothing at all, give "error"."""
    checks.equal(posttraining.calculator(f"{n}*{n}"), str(n * n))
    for text in texts:
        checks.equal(posttraining.calculator(text), "error")


@part(NAME, points=1)
@given(
    st.integers(2, 9), st.integers(2, 9), st.sampled_from(["**", "//", "%", "^", "&", "|", "<<", "@"]), st.booleans()
)
def test_other_operations_are_errors(posttraining, a, b, operation, inside):
    """Powers, floor division, remainders and all operations but + - * / give "error", however small the numbers."""
    text = f"{a}{operation}{b}"
    checks.equal(posttraining.calculator(f"{a}+({text})" if inside else text), "error")
    checks.equal(posttraining.calculator(f"{a}*{b}"), str(a * b))


@part(NAME, points=1)
@settings(max_examples=15)
@given(
    st.sampled_from(["9**9**9**9", "9**9**9", "2**3**4**5**6", "(2**99)**99**9", "1" + "0" * 150 + "**9**9"]),
    st.integers(1, 40),
    st.integers(0, 9),
)
def test_no_input_keeps_it_busy(posttraining, bomb, depth, n):
    """Neither a tower of powers, nor nested parentheses, nor thousands of signs or digits do harm: what has more than
    200 characters is "error", and what has 200 is read.
    """
    assume(len(bomb) <= 200)
    checks.equal(posttraining.calculator("2**3"), "error")
    nested = "(" * depth + str(n) + ")" * depth
    checks.equal(posttraining.calculator(nested), str(n))
    full = f"{n}+" * 99 + f"{n}*"
    checks.equal(posttraining.calculator(full + "1" if len(full) < 200 else full[:-1] + " "), str(100 * n))
    for long in (f"{n}+" * 100 + f"{n}", "-" * 5000 + "1", "(" * 5000 + "1" + ")" * 5000, "1" * 5000, "1" + " " * 200):
        checks.equal(posttraining.calculator(long), "error")
    checks.equal(posttraining.calculator(bomb), "error")
