"""Similar submissions: copies and renamed copies are found, the starter code is not, and nothing in a page runs."""

from __future__ import annotations

import re
from typing import Any

import payloads
import pytest
from toyclass import COURSE, SOLUTION, STUB

pytest.importorskip("copydetect", reason="needs copydetect: pip install 'llm-assignments[similarity]'")

from autograder.intake import Submission
from autograder.lms import similarity

OTHERS = COURSE / "suites" / "toy" / "alternatives"


def handed_in(**sources: str) -> list[Submission]:
    return [Submission(name, text.encode(), f"{name}.py") for name, text in sources.items()]


def shares(**sources: str) -> dict[tuple[str, str], float]:
    return {(p.left, p.right): p.share for p in similarity.compare(handed_in(**sources), STUB).pairs}


def test_a_copy_with_other_names_is_close_and_another_solution_is_not() -> None:
    renamed = re.sub(r"\bfound\b", "result", re.sub(r"\bcharacter\b", "letter", SOLUTION))
    other = (OTHERS / "windows_and_loops.py").read_text()
    found = shares(ada=SOLUTION, bob=renamed, eve=other)
    assert found["ada", "bob"] > 0.9
    assert found.get(("ada", "eve"), 0) < 0.3


def test_two_untouched_stubs_share_nothing() -> None:
    assert shares(ada=STUB, bob=STUB) == {}


def test_a_submission_without_a_source_is_left_out_and_fewer_than_two_are_an_error() -> None:
    none = Submission("none", None, "none", "no toy.py")
    found = similarity.compare([*handed_in(ada=SOLUTION, bob=SOLUTION), none], STUB)
    assert [(pair.left, pair.right) for pair in found.pairs] == [("ada", "bob")]
    with pytest.raises(similarity.SimilarityError, match="1 of 2 submissions have a source; comparing takes two"):
        similarity.compare([*handed_in(ada=SOLUTION), none], STUB)


@pytest.mark.parametrize("limit", [{"SECONDS": 0.0}, {"BYTES": 1 << 20}])
def test_a_source_that_takes_too_much_is_named_and_the_rest_compared(
    limit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = similarity._in_a_process

    def hostile(processes: Any, source: str) -> Any:
        with monkeypatch.context() as patch:
            for name, value in limit.items() if "hostile" in source else ():
                patch.setattr(similarity, name, value)
            return whole(processes, source)

    monkeypatch.setattr(similarity, "_in_a_process", hostile)
    found = similarity.compare(handed_in(ada=SOLUTION, bob=SOLUTION, eve=f"{SOLUTION}# hostile"), STUB)
    assert [(pair.left, pair.right) for pair in found.pairs] == [("ada", "bob")]
    assert found.unread == ["eve"]


@pytest.mark.parametrize("text", payloads.ALL)
def test_no_text_of_a_submission_becomes_part_of_the_page(text: str) -> None:
    stored = text.encode("utf-8", "replace").decode()  # a source is UTF-8, or it was refused
    source = f"{SOLUTION}\n# {stored}\n"
    submissions = [*handed_in(ada=source), Submission(text, source.encode(), "x")]
    middle = len(source) - 1 - len(stored) // 2
    pair = similarity.Pair("ada", text, 0.9, 0.8, [(0, 9), (20, middle)], [(3, middle), (middle, len(source))])
    page = similarity.page("toy", [pair], submissions, 0.5)
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z!]+)", page))
    assert tags <= {
        "!doctype", "html", "head", "meta", "title", "style", "body", "main", "p", "h", "table", "caption", "tr", "th",
        "td", "a", "section", "div", "pre", "mark",
    }  # fmt: skip
    assert page.count("<mark>") == 4
    assert page.replace("\n", "").replace("\t", "").isprintable()
