"""One encoder for each place that a student's text can end up in.

What an encoder returns can be put into its sink as it is. First, every character that a reader cannot see is written
out (`\\x1b`, `\\u202e`): terminal escapes, bidirectional overrides, zero-width characters and lone surrogates can
otherwise change what the text around them says. Then comes the escaping of the sink's own syntax.
"""

from __future__ import annotations

import html as standard_html
import re
import unicodedata
from typing import Any

import msgspec

# Letters to Unicode, blank space to a reader: fillers of Hangul, the empty Braille pattern.
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_MAX_MARKS = 4  # accents on one letter; more are used to scribble over neighbouring lines
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")


def visible(text: str, keep: str = "") -> str:
    """`text` with everything invisible written as an escape. Characters in `keep` stay as they are."""
    if text.isprintable() and text.isascii():
        return text
    shown, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        plain = char.isprintable() and char not in _BLANKS and marks <= _MAX_MARKS and not _selector(char)
        shown.append(char if plain or char in keep else _escaped(char))
    return "".join(shown)


def _selector(char: str) -> bool:
    """Variation selectors, which Unicode counts as accents: long runs of them can carry hidden text."""
    return "\ufe00" <= char <= "\ufe0e" or "\U000e0100" <= char <= "\U000e01ef"


def _escaped(char: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    if named:
        return named
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def html(text: str) -> str:
    """Text of an HTML element, or of a quoted attribute. Templates do the same by autoescape and `lines`."""
    return standard_html.escape(lines(text), quote=True)


def lines(text: str) -> str:
    """Like `visible`, but line breaks and tabs stay: they are harmless in HTML, and source code is made of them."""
    return visible(text, keep="\n\t")


def terminal(text: str) -> str:
    """One line on a terminal. Nothing is stripped. For rich, wrap it in `Text`, which reads no markup."""
    return visible(text)


def csv_cell(text: str) -> str:
    """One quoted cell of a CSV file, on one line, which no spreadsheet takes for a formula."""
    return '"' + no_formula(visible(text)).replace('"', '""') + '"'


def no_formula(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, for a writer that quotes by itself."""
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def workflow(data: str) -> str:
    """The message of a GitHub workflow command (`::error::MESSAGE`). Its line breaks are kept, encoded."""
    shown = visible(data, keep="\r\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    # The runner also knows an older form of command, which it looks for anywhere in a line.
    return shown.replace("##[", "## [")


def workflow_property(text: str) -> str:
    """A property of a GitHub workflow command (`::error title=TEXT::`)."""
    return workflow(text).replace(":", "%3A").replace(",", "%2C")


def markdown(text: str) -> str:
    """Text of one Markdown paragraph or table cell, on one line.

    Punctuation is written as character references: every dialect knows those, while backslash escapes differ, and they
    also keep addresses from becoming links.
    """
    shown = visible(text)
    return "".join(c if c.isalnum() or c in " ," or not c.isascii() else f"&#{ord(c)};" for c in shown).strip()


def xml(text: str) -> str:
    """Text of an XML 1.0 element or attribute. A writer that escapes by itself (ElementTree) wants `lines`."""
    return html(text).replace("\n", "&#10;").replace("\t", "&#9;")


def json(value: Any) -> str:
    """Any value as indented JSON for standard output, which is often a terminal, of any encoding: all of it is ASCII.

    Only strings hold anything else, so a program that reads it finds the very text. Files of JSON need no encoder.
    """
    text = msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
    return "".join(c if c == "\n" or " " <= c <= "~" else _json_escaped(c) for c in text)


def _json_escaped(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
