"""Encoders: whatever goes in, the sink's own syntax stays the writer's."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import unicodedata
from xml.etree import ElementTree

import payloads
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autograder.reports import escape

TEXTS = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(payloads.ALL)


def visible_to_all(text: str) -> bool:
    return all(c.isprintable() and unicodedata.category(c) != "Cf" for c in text)


@given(TEXTS)
def test_a_terminal_gets_one_line_of_printable_characters(text: str) -> None:
    shown = escape.terminal(text)
    assert visible_to_all(shown)
    assert "\x1b" not in shown
    assert len(shown) >= len(text)  # nothing is stripped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\u202eb", "a\\u202eb"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b1m", "\\x9b1m"),
        ("\ud800", "\\ud800"),
        ("a\u200bb", "a\\u200bb"),
        ("\U000e0041", "\\U000e0041"),
        ("José Ωμέγα 日本", "José Ωμέγα 日本"),
        ("e\u0301", "e\u0301"),
        ("\u3164", "\\u3164"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert escape.terminal(text) == shown


def test_accents_beyond_the_fourth_on_one_letter_are_written_out() -> None:
    shown = escape.terminal("Z" + "\u0335" * 10)
    assert shown == "Z" + "\u0335" * 4 + "\\u0335" * 6


@given(TEXTS)
def test_json_is_ascii_without_control_characters_and_reads_back_as_the_very_text(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()  # a record holds no lone surrogates: it could not be written
    shown = escape.json({text: [text]})
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown) == {text: [text]}


@given(TEXTS)
def test_html_reads_back_as_the_visible_text_and_holds_no_markup(text: str) -> None:
    shown = escape.html(text)
    assert not set("<>\"'") & set(shown)
    assert html.unescape(shown) == escape.lines(text)
    assert visible_to_all(shown.replace("\n", "").replace("\t", ""))


@given(TEXTS)
@example("-1")
@example('=1+"1"')
def test_a_csv_cell_is_one_cell_and_no_formula(text: str) -> None:
    cell = escape.csv_cell(text)
    for delimiter in ",;\t":
        assert list(csv.reader(io.StringIO(f"{cell}{delimiter}{cell}"), delimiter=delimiter)) == [
            [cell[1:-1].replace('""', '"')] * 2
        ]
    content = cell[1:-1].lstrip()
    assert not content.startswith(("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")) or re.fullmatch(
        r"[-+]?\d+(\.\d+)?", content
    )


def test_a_number_stays_a_number_in_csv() -> None:
    assert escape.csv_cell("-1") == '"-1"'
    assert escape.csv_cell("-1+1") == '"\'-1+1"'


@given(TEXTS)
def test_a_workflow_message_is_one_line_and_starts_no_other_command(text: str) -> None:
    for shown in (escape.workflow(text), escape.workflow_property(text)):
        assert len(shown.splitlines()) <= 1
        assert visible_to_all(shown)
        assert "##[" not in shown
    assert not set(":,") & set(escape.workflow_property(text))


@given(TEXTS)
def test_a_workflow_message_reads_back_as_what_was_said(text: str) -> None:
    read = escape.workflow(text).replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    assert read == escape.visible(text, keep="\r\n").replace("##[", "## [")


@given(TEXTS)
def test_markdown_holds_no_character_of_its_syntax(text: str) -> None:
    shown = escape.markdown(text)
    assert re.fullmatch(r"(?:[A-Za-z0-9 ,]|&#\d+;|[^\x00-\x7f])*", shown)
    assert html.unescape(shown) == escape.visible(text).strip(" ")
    assert not shown.startswith(" ")


@given(TEXTS)
def test_xml_parses_and_reads_back_as_an_element_and_as_an_attribute(text: str) -> None:
    shown = escape.xml(text)
    element = ElementTree.fromstring(f'<a b="{shown}">{shown}</a>')
    assert (element.text or "") == element.get("b") == escape.lines(text)
