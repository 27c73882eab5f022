"""Which submissions share more text than the handout explains: winnowed fingerprints, shown side by side.

The fingerprints are copydetect's (Schleimer, Wilkerson and Aiken, "Winnowing", SIGMOD 2003): tokens with their names
taken away, so that renaming changes nothing. What the stub has is not counted. A number is a reason to look, never
evidence by itself: short functions have few ways to be written.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import multiprocessing
import os
from typing import Any

import msgspec
import numpy

from autograder.intake import Submission
from autograder.reports.escape import html

NOISE, GUARANTEE = 25, 30  # tokens' characters: shorter matches are noise, longer ones are always found
MAX_SHOWN = 60  # pairs
SECONDS, BYTES = 20.0, 2 << 30  # for the tokens of one submission


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


class Comparison(msgspec.Struct, frozen=True):
    """All pairs that share anything, the closest first, and whose source could not be read as tokens."""

    pairs: list[Pair]
    unread: list[str]


def compare(submissions: list[Submission], starter: str) -> Comparison:
    """All pairs that share anything beyond the starter code. Raises SimilarityError where there is none to look at."""
    sources = {one.student: one.source.decode() for one in submissions if one.source is not None}
    if len(sources) < 2:
        raise SimilarityError(f"{len(sources)} of {len(submissions)} submissions have a source; comparing takes two")
    try:
        from copydetect import CodeFingerprint, compare_files
    except ImportError:
        raise SimilarityError("copydetect is not installed: pip install 'llm-assignments[similarity]'") from None
    os.environ["PYTHONSAFEPATH"] = "1"  # its processes must not look for modules in a folder of what was handed in
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__, "copydetect"])

    def prints(text: str, boilerplate: Any) -> Any:
        """Fingerprints, or None where the source cannot be read."""
        if (tokens := _in_a_process(processes, text)) is None:
            return None
        window = GUARANTEE - NOISE + 1
        found = CodeFingerprint("", NOISE, window, boilerplate, filter=False, fp=io.StringIO(tokens.text))
        found.offsets = numpy.array(tokens.offsets)
        return found

    given = numpy.array(sorted(prints(starter, []).hashes), dtype=numpy.int64)
    all_prints = {student: prints(text, given) for student, text in sources.items()}
    known = {student: found for student, found in all_prints.items() if found is not None}
    pairs = []
    for left, right in itertools.combinations(sorted(known), 2):
        overlap, shares, spans = compare_files(known[left], known[right])
        if overlap:
            pairs.append(Pair(left, right, float(shares[0]), float(shares[1]), *map(_spans, spans)))
    return Comparison(
        sorted(pairs, key=lambda pair: (-pair.share, pair.left, pair.right)), sorted(sources.keys() - known.keys())
    )


class _Tokens(msgspec.Struct, frozen=True):
    """A source with its names and texts taken away, and by how much its places have moved."""

    text: str
    offsets: list[tuple[int, int]]


def _in_a_process(processes: Any, source: str) -> _Tokens | None:
    """A lexer works through whatever a student wrote, so it does that in a process that may take too long or die."""
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=_send_tokens, args=(theirs, source, BYTES), daemon=True)
    process.start()
    theirs.close()
    try:
        return msgspec.json.decode(ours.recv_bytes(), type=_Tokens) if ours.poll(SECONDS) else None
    except (EOFError, OSError):
        return None
    finally:
        process.kill()
        process.join()
        ours.close()


def _send_tokens(channel: Any, source: str, limit: int) -> None:
    import resource

    from copydetect.utils import filter_code

    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with contextlib.suppress(Exception):  # nothing sent says it all
        text, offsets = filter_code(source, "", "python")
        channel.send_bytes(msgspec.json.encode(_Tokens(text, offsets.tolist())))


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
