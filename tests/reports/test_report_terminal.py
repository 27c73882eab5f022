"""Tables and messages in the terminal: everything is said, nothing of a submission reaches the terminal raw."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import fake_records as fake
import payloads
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from autograder.course import Assignment, Limits, Part
from autograder.outcome import TestOutcome
from autograder.reports import failure, terminal

ATTENTION = Assignment(
    "attention",
    "Causal attention",
    tuple(Part(name, title, points) for name, title, points in fake.PARTS["attention"]),
    ("torch",),
    (),
    Limits(),
    Path("a"),
    Path("s"),
    Path("t"),
)


def printed(renderable: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable, crop=False)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def public(part: str, **changes: object) -> TestOutcome:
    return fake.failed(part, points=0, **changes)


def test_the_class_is_one_line_a_submission() -> None:
    records = [
        fake.record("ada"),
        fake.record("boris", tests=[fake.failed("softmax")]),
        fake.ungraded("chloe", "the zip is encrypted"),
    ]
    text = printed(terminal.class_table(records), 120)
    assert [line.split()[0] for line in text.splitlines()[2:5]] == ["ada", "boris", "chloe"]
    assert "100/100" in text
    assert "●●●●●●" in text
    assert "Scores are divided by d_k" in text
    assert "the zip is encrypted" in text


def test_grader_errors_come_first() -> None:
    text = printed(terminal.class_table([fake.record("ada"), fake.record("zoe", tests=[], grader_error="killed")]), 100)
    assert text.index("zoe") < text.index("ada")


def test_an_empty_class_is_a_table_too() -> None:
    printed(terminal.class_table([]))


def test_a_check_shows_the_first_thing_to_fix_and_counts_the_rest() -> None:
    text = printed(
        failure.checked(ATTENTION, [public("softmax", sentence="First."), public("heads", sentence="Second.")], False)
    )
    assert "Fix first" in text
    assert "First." in text
    assert "Second." not in text
    assert "1 more property does not hold; --all" in text


def test_all_shows_everything() -> None:
    text = printed(
        failure.checked(ATTENTION, [public("softmax", sentence="First."), public("heads", sentence="Second.")], True)
    )
    assert "First." in text
    assert "Second." in text
    assert "--all" not in text


def test_what_was_shown_early_is_not_shown_again() -> None:
    tests = [public("softmax", sentence="First."), public("heads", sentence="Second.")]
    early = printed(failure.fix_first(ATTENTION, tests[0], False))
    late = printed(failure.checked(ATTENTION, tests, False, told=tests[0].test))
    assert "Fix first" in early
    assert "First." in early
    assert "First." not in late
    assert "1 more property does not hold; --all" in late
    rest = printed(failure.checked(ATTENTION, tests, True, told=tests[0].test))
    assert "First." not in rest
    assert "Then" in rest
    assert "Second." in rest


def test_what_was_skipped_is_never_the_first_thing_to_fix() -> None:
    tests = [public("softmax", status="skipped", sentence="Skipped."), public("heads", sentence="Failed.")]
    assert "Failed." in printed(failure.checked(ATTENTION, tests, False))


def test_a_check_without_a_failure_says_so() -> None:
    assert "All public properties of attention hold (1)." in printed(
        failure.checked(ATTENTION, [fake.passed("softmax")], False)
    )


@pytest.mark.parametrize("text", ["x" * 4000, "word " * 800, "line\n" * 500])
def test_a_check_is_at_most_a_screen_whatever_failed(text: str) -> None:
    (record, *_) = fake.everywhere(text)
    for test in record.tests:
        lines = printed(failure.checked(ATTENTION, [test, *record.tests], False)).splitlines()
        assert len(lines) <= 30, lines


def test_a_failure_shows_input_returned_expected_hint_and_script() -> None:
    text = printed(failure.outcome(fake.failed("softmax")), 200)
    for word in (
        "has wrong values",
        "input ",
        "returned  tensor([[0.62246",
        "expected  tensor([[0.66976",
        "Likely cause: Scores",
        "import attention",
    ):
        assert word in text


def test_a_script_is_neither_wrapped_nor_indented() -> None:
    test = fake.failed("softmax")
    text = printed(failure.outcome(test), 40)
    assert all(line in text.splitlines() for line in test.snippet.splitlines())


def safe(text: str) -> bool:
    return all(c == "\n" or (c.isprintable() and unicodedata.category(c) != "Cf") for c in text)


@pytest.mark.parametrize("payload", payloads.ALL)
def test_no_payload_reaches_the_terminal_raw(payload: str) -> None:
    records = fake.everywhere(payload)
    assert safe(printed(terminal.class_table(records), 100))
    for test in records[0].tests:
        assert safe(printed(failure.outcome(test)))
    assert safe(printed(failure.checked(ATTENTION, records[0].tests, True)))


@settings(max_examples=40)
@given(st.text(st.characters(codec=None), max_size=40))
def test_no_text_reaches_the_terminal_raw(text: str) -> None:
    records = fake.everywhere(text)
    table = printed(terminal.class_table(records), 100)
    assert safe(table)
    assert len(table.splitlines()) <= 7
    assert all(safe(printed(failure.outcome(test))) for test in records[0].tests)


def test_markup_of_the_table_library_stays_text() -> None:
    text = printed(terminal.class_table([fake.record("[red]ada[/red]")]), 120)
    assert "[red]ada[/red]" in text
