"""The site as files: what is on its pages, that no text of a record is ever markup, and which files it may remove."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import fake_records as fake
import msgspec
import payloads
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder.records import Record
from autograder.reports import html

LINK = re.compile(r"(\.\./)?(index\.html|(students|parts)/[0-9a-f]{24}\.html(#t\d+)?)|#[A-Za-z]+-?\d*")


class Page(HTMLParser):
    """The elements, attributes, links, scripts and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[tuple[str, str]] = set()
        self.links: list[str] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self.policy = self.text = ""
        self._in = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements |= {(tag, "")} | {(tag, name) for name, _ in attributes}
        self.links += [value or "" for name, value in attributes if name in ("href", "src")]
        self._in = tag if tag in self.code else ""
        if dict(attributes).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attributes)["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in:
            self.code[self._in].append(data)
        else:
            self.text += data


def pages(folder: Path) -> dict[str, Page]:
    return {
        str(path.relative_to(folder)): Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Every element and attribute that our own templates use."""
    folder = tmp_path_factory.mktemp("plain")
    member = fake.failed(
        "softmax", returned="tensor([[1.0]], float32)", expected="tensor([[2.0]], float32)", snippet="x" * 3000
    )
    records = [*fake.klass(30), *fake.everywhere("word"), fake.record("last", tests=[member], key="demo", level="none")]
    html.write_site([*records, fake.record("last", id="old", graded_at="2020-01-01T00:00:00+00:00")], folder)
    return set().union(*(page.elements for page in pages(folder).values()))


def test_no_payload_in_any_field_becomes_markup(plain: set[tuple[str, str]], tmp_path: Path) -> None:
    records = [record for number, payload in enumerate(payloads.ALL) for record in fake.everywhere(payload, number)]
    html.write_site(records, tmp_path)
    found = pages(tmp_path)
    assert len(found) == len(records) + len(fake.PARTS["attention"]) + 1
    for name, page in found.items():
        assert page.elements <= plain, name
        assert all(LINK.fullmatch(link) for link in page.links), name


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=st.text(st.characters(codec=None), max_size=40))
def test_no_text_at_all_becomes_markup(plain: set[tuple[str, str]], tmp_path: Path, text: str) -> None:
    html.write_site(fake.everywhere(text), tmp_path)
    for page in pages(tmp_path).values():
        assert page.elements <= plain
        assert all(LINK.fullmatch(link) for link in page.links)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", page.text)


def test_a_page_runs_only_what_its_policy_names_by_hash(tmp_path: Path) -> None:
    html.write_site([*fake.klass(3), *fake.everywhere(payloads.HTML[0])], tmp_path)
    for page in pages(tmp_path).values():
        assert page.policy.startswith("default-src 'none'; ")
        assert "unsafe" not in page.policy
        assert "base-uri 'none'" in page.policy
        assert "form-action 'none'" in page.policy
        for code in [*page.code["script"], *page.code["style"]]:
            digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in page.policy
        assert len(page.code["script"]) <= 1
        assert len(page.code["style"]) == 1


def test_no_page_holds_an_address_of_the_network(tmp_path: Path) -> None:
    html.write_site(fake.klass(3), tmp_path)
    for path in tmp_path.rglob("*.html"):
        assert not re.search(r"https?:|//[a-z]", path.read_text().replace("// ", ""))


def test_every_link_leads_somewhere(tmp_path: Path) -> None:
    html.write_site(fake.klass(12), tmp_path)
    for name, page in pages(tmp_path).items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            path = (tmp_path / name).parent / target if target else tmp_path / name
            assert path.is_file(), (name, link)
            assert not anchor or f'id="{anchor}"' in path.read_text(), (name, link)


def test_every_record_is_on_the_class_page_with_its_reason(tmp_path: Path) -> None:
    records = [
        fake.record("ada"),
        fake.ungraded("boris", "the zip is encrypted"),
        fake.record("chloe", tests=[], grader_error="the judge ended with signal 9"),
        fake.record("dmitri", tests=[fake.failed("softmax", hint="No shift.")]),
    ]
    html.write_site(iter(records), tmp_path)
    text = pages(tmp_path)["index.html"].text
    for word in (
        "ada",
        "boris",
        "the zip is encrypted",
        "chloe",
        "the judge ended with signal 9",
        "dmitri",
        "No shift.",
    ):
        assert word in text
    assert text.index("Needs a person") < text.index("Scores")


def test_a_reason_is_on_the_page_of_its_student(tmp_path: Path) -> None:
    for record in (
        fake.ungraded("boris", "the zip is encrypted"),
        fake.record("chloe", tests=[], grader_error="the judge ended with signal 9"),
    ):
        html.write_site([record], tmp_path)
        assert (record.problem or record.grader_error) in pages(tmp_path)[html.student_page(record)].text


def test_a_figure_stands_on_the_page_where_the_answer_was_right(tmp_path: Path) -> None:
    advisory = {"kind": "advisory", "points": 0, "earned": 0}
    raced = (
        fake.passed("heads", sentence="Heads, in times of the reference.", figure=0.256, **advisory),
        fake.failed("heads", sentence="Heads that are wrong.", figure=0.1, **advisory),
        fake.passed("heads", sentence="Heads that nobody measured.", **advisory),
    )
    record = fake.record("ada", advisory=raced)
    html.write_site([record], tmp_path)
    text = pages(tmp_path)[html.student_page(record)].text
    assert "Heads, in times of the reference. 0.26" in text
    assert "Heads that" not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [({"key": "demo"}, "Demo key."), ({"level": "none"}, "Not contained: level none."), ({"level": "landlock"}, "")],
)
def test_a_demo_key_and_a_weak_level_are_said_loudly_on_every_page(
    change: dict[str, str], words: str, tmp_path: Path
) -> None:
    record = fake.record("ada", **change)
    html.write_site([record], tmp_path)
    for name in ("index.html", html.student_page(record)):
        text = pages(tmp_path)[name].text
        assert words in text
        assert ("Not contained" in text) == ("level none" in words)
        assert ("Demo key" in text) == ("Demo" in words)


def test_no_records_make_an_empty_report(tmp_path: Path) -> None:
    assert html.write_site([], tmp_path) == tmp_path / "index.html"


def test_names_of_pages_hold_nothing_of_the_student(tmp_path: Path) -> None:
    records = [record for number, payload in enumerate(payloads.PATHS) for record in fake.everywhere(payload, number)]
    html.write_site(records, tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    names = [str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert all(
        re.fullmatch(r"index\.html|\.report-pages\.json|(students|parts)/[0-9a-f]{24}\.html", name) for name in names
    )


# --- files of earlier runs


def test_pages_of_an_earlier_run_are_removed_and_other_files_stay(tmp_path: Path) -> None:
    ada, boris = fake.record("ada"), fake.record("boris")
    html.write_site([ada, boris], tmp_path)
    kept = [
        tmp_path / "students" / "notes.html",
        tmp_path / "students" / f"{'0' * 24}.html",
        tmp_path / "records" / "1.json",
    ]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    html.write_site([ada], tmp_path)
    assert (tmp_path / html.student_page(ada)).exists()
    assert not (tmp_path / html.student_page(boris)).exists()
    assert all(path.read_text() == "mine" for path in kept)


def test_a_manifest_that_names_other_files_removes_none_of_them(tmp_path: Path) -> None:
    outside = tmp_path / "gradebook.csv"
    outside.write_text("mine")
    site = tmp_path / "site"
    html.write_site([fake.record("ada")], site)
    (site / html.MANIFEST).write_bytes(
        msgspec.json.encode(["index.html", "../gradebook.csv", str(outside), "students/../../gradebook.csv"])
    )
    html.write_site([fake.record("ada")], site)
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("damage", [b"", b"{}", b'["index.html"', b"\xff", b"[1]"])
def test_after_a_damaged_manifest_nothing_is_overwritten(damage: bytes, tmp_path: Path) -> None:
    index = html.write_site([fake.record("ada")], tmp_path)
    (tmp_path / html.MANIFEST).write_bytes(damage)
    before = index.read_bytes()
    with pytest.raises(html.ReportError, match="was not made by this command"):
        html.write_site([fake.record("boris")], tmp_path)
    assert index.read_bytes() == before


def test_a_page_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(html.ReportError, match=r"index\.html was not made by this command; choose another folder"):
        html.write_site([fake.record("ada")], tmp_path)
    assert (tmp_path / "index.html").read_text() == "mine"


def test_a_killed_run_is_cleaned_up_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = html._write, []

    def dies(path: Path, text: str) -> None:
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path)
        real(path, text)

    monkeypatch.setattr(html, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        html.write_site([fake.record(name) for name in ("ada", "boris", "chloe", "dmitri", "elif")], tmp_path)
    monkeypatch.setattr(html, "_write", real)
    last = fake.record("zoe")
    html.write_site([last], tmp_path)
    assert [path.name for path in (tmp_path / "students").iterdir()] == [Path(html.student_page(last)).name]


def test_a_link_in_the_place_of_a_page_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, record = tmp_path / "target", fake.record("ada")
    target.write_text("mine")
    html.write_site([record], tmp_path)
    page = tmp_path / html.student_page(record)
    page.unlink()
    page.symlink_to(target)
    html.write_site([record], tmp_path)
    assert target.read_text() == "mine"
    assert not page.is_symlink()


def test_a_folder_that_is_a_file_is_a_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(html.ReportError, match=r"cannot write the report into .*; choose another folder"):
        html.write_site([fake.record("ada")], tmp_path / "out")


def test_the_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    def written(folder: Path, records: list[Record]) -> dict[str, bytes]:
        html.write_site(records, folder)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    records = fake.klass(8)
    assert written(tmp_path / "a", records) == written(tmp_path / "b", records[::-1])
