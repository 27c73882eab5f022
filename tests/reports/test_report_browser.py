"""The site in a browser: nothing of a record runs, the table sorts and filters, and people of all kinds can read it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_records as fake
import payloads
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from autograder.reports import html

pytestmark = pytest.mark.needs("chromium", "apt install chromium")

OPEN_SECONDS = 1.0
FILTER_SECONDS = 0.1
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class with one of everything."""
    folder = tmp_path_factory.mktemp("site")
    drawn = fake.failed(
        "softmax",
        returned="tensor([[1.0, -2.0], [nan, 4.0]], float32)",
        expected="tensor([[1.0, 2.0], [3.0, 4.0]], float32)",
    )
    odd = [
        fake.record("zoe", tests=[drawn], key="demo", level="none", notes=("mixed scripts",)),
        fake.record("yan", tests=[], grader_error="killed"),
    ]
    html.write_site(
        [*fake.klass(30), *odd, fake.record("zoe", id="old", graded_at="2020-01-01T00:00:00+00:00")], folder
    )
    return folder


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The class page of 500 students and two assignments."""
    folder = tmp_path_factory.mktemp("big")
    html.write_site(fake.klass(500), folder)
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_no_payload_runs_and_nothing_is_asked_of_the_network(browser: Browser, tmp_path: Path) -> None:
    records = [fake.everywhere(text, number) for number, text in enumerate(payloads.ALL)]
    # What aims at a browser in records of every state; the rest, for the time it takes, in graded ones.
    html.write_site(
        [record for own in records for record in (own if own[0].student in payloads.HTML else own[:1])], tmp_path
    )
    context = browser.new_context()
    page = context.new_page()
    seen: list[str] = []
    page.on("dialog", lambda dialog: (seen.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("console", lambda message: seen.append(f"console {message.text}"))
    page.on("pageerror", lambda error: seen.append(f"error {error}"))
    page.on("popup", lambda popup: seen.append("popup"))
    page.on(
        "request",
        lambda request: (
            seen.append(f"request {request.url}")
            if request.url != page.url and not request.is_navigation_request()
            else None
        ),
    )
    paths = [
        tmp_path / "index.html",
        *sorted((tmp_path / "parts").iterdir()),
        *sorted((tmp_path / "students").iterdir()),
    ]
    for path in paths:
        page.goto(path.as_uri(), wait_until="load")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.evaluate("typeof window.ran") == "undefined", path
        assert page.url == path.as_uri()
        assert not seen, (path, seen)
    context.close()


def test_the_policy_stops_a_script_that_is_in_a_page_all_the_same(page: Page, tmp_path: Path) -> None:
    index = html.write_site(fake.klass(2), tmp_path)
    forged = index.read_text().replace(
        "</main>",
        f"<img src=x onerror='{payloads.RUN}'><script>{payloads.RUN}</script><img src=http://127.0.0.1:9/x></main>",
    )
    index.write_text(forged)
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(index.as_uri())
    assert page.evaluate("typeof window.ran") == "undefined"
    assert len([text for text in refused if "Content Security Policy" in text]) >= 3
    assert page.locator(".tools").is_visible()  # our own script ran


def rows(page: Page, column: int) -> list[str]:
    script = "n => [...document.querySelectorAll('#class tbody tr:not([hidden])')].map(row => row.cells[n].textContent)"
    return list(page.evaluate(script, column))


def test_the_table_sorts_by_every_column_both_ways(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    heading = page.locator("#class thead th").nth(2)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    scores = [int(text.split("/")[0]) for text in rows(page, 2) if "/" in text]
    assert scores == sorted(scores, reverse=True)
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [int(text.split("/")[0]) for text in rows(page, 2) if "/" in text] == sorted(scores)
    for column in (0, 1, 3, 4, 5):
        before = sorted(rows(page, column))
        page.locator("#class thead th button").nth(column).click()
        assert sorted(rows(page, column)) == before
    assert page.locator("#class [aria-sort]").count() == 1


def test_the_table_filters_by_words_assignment_and_kind(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    total = len(rows(page, 0))
    page.get_by_label("Find").fill("ZO")
    assert set(rows(page, 0)) == {"zoe"}
    assert page.locator("#shown").text_content() == f"1 of {total}"
    page.get_by_label("Find").fill("")
    page.get_by_label("Assignment").select_option("bpe")
    assert set(rows(page, 1)) == {"bpe"}
    page.get_by_label("Assignment").select_option("all")
    page.get_by_label("Show").select_option("needs a person")
    assert "yan" in rows(page, 0)
    assert all("/" not in text for text in rows(page, 2))
    page.get_by_label("Find").fill("nobody at all")
    assert rows(page, 0) == []


def test_a_snippet_is_copied_by_its_button(browser: Browser, site: Path) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto((site / html.student_page(fake.record("zoe"))).as_uri())
    page.locator(".snippet button").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == fake.failed("softmax").snippet
    context.close()


def test_everything_is_readable_without_scripts(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator("#class tbody tr").count() == 62
    assert page.locator(".tools").is_hidden()
    page.goto((site / html.student_page(fake.record("zoe"))).as_uri())
    assert page.get_by_text("Likely cause.").is_visible()
    assert page.locator(".snippet pre").first.is_visible()
    context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_page_is_wider_than_its_window(page: Page, site: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for name in every_kind(site):
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


# --- time


def test_a_class_of_500_and_two_assignments_opens_and_filters_quickly(
    page: Page, big: Path, record_property: Any
) -> None:
    opened, filtered, sorted_ = [], [], []
    for _ in range(3):
        page.goto((big / "index.html").as_uri())
        opened.append(
            page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))")
            / 1000
        )
        for text in ("ada", "softmax", "zzz", ""):
            # Typing, layout and the next painted frame, as a person waits for them.
            filtered.append(page.evaluate(TIMED, ["find", text]) / 1000)
        sorted_.append(page.evaluate(TIMED, ["", ""]) / 1000)
    for name, seconds in (("open", opened), ("filter", filtered), ("sort", sorted_)):
        record_property(f"{name}_milliseconds", [round(1000 * s) for s in seconds])
        print(name, [round(1000 * s) for s in seconds], "ms")
    # The best of a few: the machine may be busy with other tests.
    assert min(opened) < OPEN_SECONDS
    assert sorted(filtered)[len(filtered) // 2] < FILTER_SECONDS


TIMED = """([id, text]) => new Promise(done => {
  const start = performance.now();
  if (id) {
    const box = document.getElementById(id);
    box.value = text;
    box.dispatchEvent(new Event("input"));
  } else document.querySelectorAll("#class thead button")[2].click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""


# --- people of all kinds


def every_kind(site: Path) -> list[str]:
    """The class, parts, and students in every state."""
    students = [*fake.klass(3), fake.record("zoe"), fake.record("yan")]
    names = [html.student_page(record) for record in students]
    return [
        "index.html",
        *(f"parts/{path.name}" for path in sorted((site / "parts").iterdir())[:2]),
        *(n for n in names if (site / n).exists()),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, site: Path, scheme: Any) -> None:
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        refuse = pytest.fail if os.environ.get("AUTOGRADER_CI") == "1" else pytest.skip
        refuse("needs axe: pip install axe-playwright-python")
    axe = Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page = browser.new_context(color_scheme=scheme).new_page()
    for name in every_kind(site):
        page.goto((site / name).as_uri())
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        page.evaluate(axe)
        # The structure is the same in the dark.
        only = "{}" if scheme == "light" else "{runOnly: ['color-contrast']}"
        violations = page.evaluate(f"axe.run(document, {only}).then(result => result.violations)")
        serious = [
            (v["id"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"])
            for v in violations
            if v["impact"] in SERIOUS
        ]
        assert not serious, name
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_with_what_is_behind_it(browser: Browser, site: Path, scheme: Any) -> None:
    page = browser.new_context(color_scheme=scheme).new_page()
    for name in every_kind(site):
        page.goto((site / name).as_uri())
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.evaluate(CONTRAST) == [], name
    page.context.close()


def test_every_page_has_landmarks_headings_in_order_and_named_controls(page: Page, site: Path) -> None:
    for name in every_kind(site):
        page.goto((site / name).as_uri())
        assert page.evaluate(STRUCTURE) == [], name


CONTRAST = """() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const color = numbers(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), poor = new Set();
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement, style = getComputedStyle(parent);
    if (!walker.currentNode.data.trim() || parent.closest("script, option, svg, .sr")) continue;
    const [a, b] = [light(numbers(style.color)), light(behind(parent))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.add(`${parent.tagName}.${parent.className}: ${ratio.toFixed(2)}`);
  }
  return [...poor];
}"""

STRUCTURE = """() => {
  const wrong = [], all = selector => [...document.querySelectorAll(selector)];
  for (const tag of ["main", "h1", "body > header", "body > footer", "title"])
    if (all(tag).length !== 1) wrong.push(`${all(tag).length} ${tag}`);
  if (document.documentElement.lang !== "en") wrong.push("no language");
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) wrong.push(`${heading.tagName} after H${level}: ${heading.textContent}`);
    level = next;
  }
  for (const table of all("table"))
    if (!table.caption || !table.querySelector("th[scope]")) wrong.push("a table without caption or headings");
  for (const one of all("input, select")) if (!one.labels.length) wrong.push(`no label: ${one.id}`);
  for (const one of all("a, button, summary")) if (!one.textContent.trim()) wrong.push(`no name: ${one.outerHTML}`);
  for (const one of all("nav, [role=region], [role=search]"))
    if (!one.getAttribute("aria-label")) wrong.push(`no name: ${one.tagName}`);
  const ids = all("[id]").map(one => one.id);
  if (new Set(ids).size < ids.length) wrong.push("an id twice");
  return wrong;
}"""
