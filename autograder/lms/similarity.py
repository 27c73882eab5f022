"""Which submissions share more text than the handout explains: winnowed fingerprints, shown side by side.

The fingerprints are copydetect's (Schleimer, Wilkerson and Aiken, "Winnowing", SIGMOD 2003): tokens with their names
taken away, so that renaming changes nothing. What the stub has is not counted. A number is a reason to look, never
evidence by itself: short functions have few ways to be written.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy

from autograder.intake import Submission
from autograder.reports.escape import html

NOISE, GUARANTEE = 25, 30  # tokens' characters: shorter matches are noise, longer ones are always found
MAX_SHOWN = 60  # pairs


class SimilarityError(Exception):
    """The comparison cannot be made. One line for a person."""

    exit_code = 2


class Pair(msgspec.Struct, frozen=True):
    """Two submissions, the share of each that is in the other, and where: pairs of characters' places."""

    left: str
    right: str
    left_share: float
    right_share: float
    left_spans: list[tuple[int, int]]
    right_spans: list[tuple[int, int]]

    @property
    def share(self) -> float:
        return max(self.left_share, self.right_share)


def compare(submissions: list[Submission], starter: str) -> list[Pair]:
    """All pairs that share anything beyond the starter code, the closest first."""
    try:
        from copydetect import CodeFingerprint, compare_files
    except ImportError:
        raise SimilarityError("copydetect is not installed: pip install 'llm-assignments[similarity]'") from None
    sources = {one.student: one.source.decode() for one in submissions if one.source is not None}
    with tempfile.TemporaryDirectory() as folder:

        def prints(name: str, text: str, boilerplate: Any) -> Any:
            path = Path(folder) / f"{name}.py"  # a number, never a student's name
            path.write_text(text, encoding="utf-8")
            window = GUARANTEE - NOISE + 1
            return CodeFingerprint(str(path), NOISE, window, boilerplate=boilerplate, language="python")

        given = numpy.array(sorted(prints("starter", starter, []).hashes), dtype=numpy.int64)
        known = {
            student: prints(str(n), text, given) for n, (student, text) in enumerate(sources.items())
        }  # fmt: skip
    pairs = []
    for left, right in itertools.combinations(sorted(known), 2):
        overlap, shares, spans = compare_files(known[left], known[right])
        if overlap:
            pairs.append(Pair(left, right, float(shares[0]), float(shares[1]), *map(_spans, spans)))
    return sorted(pairs, key=lambda pair: (-pair.share, pair.left, pair.right))


def _spans(found: Any) -> list[tuple[int, int]]:
    return [(int(start), int(end)) for start, end in zip(found[0], found[1])] if len(found) else []


def page(assignment: str, pairs: list[Pair], submissions: list[Submission], threshold: float) -> str:
    """The pairs above the threshold, side by side, what they share marked; one page without a script."""
    sources = {one.student: one.source.decode() for one in submissions if one.source is not None}
    shown = [pair for pair in pairs if pair.share >= threshold][:MAX_SHOWN]
    rows = "".join(
        f'<tr><td><a href="#pair-{n}">{html(pair.left)} and {html(pair.right)}</a></td>'
        f"<td>{pair.left_share:.0%}</td><td>{pair.right_share:.0%}</td></tr>"
        for n, pair in enumerate(shown)
    )
    sections = "".join(
        f'<section id="pair-{n}"><h2>{html(pair.left)} and {html(pair.right)}</h2><div class="pair">'
        f"{_marked(pair.left, sources[pair.left], pair.left_spans)}"
        f"{_marked(pair.right, sources[pair.right], pair.right_spans)}</div></section>"
        for n, pair in enumerate(shown)
    )
    return _PAGE.format(title=html(assignment), rows=rows, sections=sections, threshold=f"{threshold:.0%}")


def _marked(student: str, source: str, spans: list[tuple[int, int]]) -> str:
    text, place = [], 0
    for start, end in sorted(spans):
        start = max(start, place)
        if end > start:
            text += [html(source[place:start]), f"<mark>{html(source[start:end])}</mark>"]
            place = end
    text.append(html(source[place:]))
    return f'<div><h3>{html(student)}</h3><pre tabindex="0">{"".join(text)}</pre></div>'


_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Similar submissions: {title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 100rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem 1rem .2rem 0; text-align: left; }}
.pair {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }}
.pair > div {{ min-width: 0; }}
pre {{ overflow: auto; max-height: 80vh; border: 1px solid #999; padding: .5rem; font-size: 12px; }}
mark {{ background: #ffd54d; color: #000; }}
</style></head><body><main><h1>Similar submissions: {title}</h1>
<p>Pairs that share at least {threshold} of one of them beyond the starter code. A number is a reason to look.</p>
<table><caption>Pairs</caption><tr><th scope="col">pair</th><th scope="col">of the first</th>
<th scope="col">of the second</th></tr>{rows}</table>
{sections}</main></body></html>
"""
