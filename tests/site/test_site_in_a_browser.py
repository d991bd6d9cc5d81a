"""The site built of the repository's own pages, opened from disk: no request, no complaint, no dead link."""

from __future__ import annotations

import functools
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchbias.site.making import Made, make_site
from support import ROOT
from support.browser import SCHEMES, WIDTHS, chromium, needs_chromium, opened
from support.html_pages import Parsed, dead_links

pytestmark = pytest.mark.slow
pytest.importorskip("material", reason="no mkdocs-material: pip install '.[pages]'")

HOME, BOARD, PAGE = "index.html", "leaderboard/spurious-small.html", "docs/audit.html"
REPORT = "reports/spurious-small.html"


def small_report(suite: str, path: Path) -> None:
    path.write_text(f"<!doctype html><html lang=en><title>{suite}</title><main><h2>{suite}</h2></main></html>")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> tuple[Path, Made]:
    out = tmp_path_factory.mktemp("site") / "site"
    return out, make_site(out, ROOT / "leaderboard", ROOT / "docs", small_report)


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def test_the_site_has_every_page_board_and_report(site):
    out, made = site
    suites = {folder.name for folder in (ROOT / "leaderboard/records").iterdir()}
    assert (made.boards, made.reports) == (len(suites), len(suites))
    for suite in suites:
        assert f"../reports/{suite}.html" in Parsed.of((out / f"leaderboard/{suite}.html").read_text()).addresses
        assert (out / f"reports/{suite}.html").is_file()
    for page in (ROOT / "docs").rglob("*.md"):
        place = page.relative_to(ROOT).with_name("index.md" if page.name == "README.md" else page.name)
        assert (out / place).with_suffix(".html").is_file(), page


def test_every_link_and_every_heading_that_is_linked_is_there(site):
    assert dead_links(site[0], left_out=["404.html"]) == []


def test_a_dead_link_would_be_found(site, tmp_path: Path):
    (tmp_path / "a.html").write_text('<a href="b.html">x</a><a href="#c">y</a><a id="d" href="#d">z</a>')
    assert dead_links(tmp_path) == ["a.html: b.html", "a.html: #c"]


def test_no_page_names_a_script_a_style_or_a_picture_of_another_host(site):
    for path in site[0].rglob("*.html"):
        text = path.read_text()
        assert not re.findall(r'<(?:script|img|iframe|source)[^>]*\bsrc="?(?:https?:)?//[^>]*>', text), path
        assert not re.findall(r'<link[^>]*rel="?(?:stylesheet|preconnect|preload|icon)"?[^>]*//[^>]*>', text), path
    for path in site[0].rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", path.read_text()), path


@needs_chromium
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("place", [HOME, BOARD, PAGE])
def test_a_page_opens_from_disk_asks_nobody_and_is_accessible(site, browser, place: str, width: int, scheme: str):
    with opened(browser, site[0] / place, width, scheme) as watched:
        watched.page.wait_for_timeout(300)
        assert watched.complaints == []
        assert watched.sideways() == 0
        assert watched.serious_faults() == []
        assert not [one for one in watched.requests if not one.startswith("file:")]


@needs_chromium
def test_the_report_opens_from_its_board(site, browser):
    with opened(browser, site[0] / BOARD) as watched:
        watched.page.get_by_role("link", name="The report of this board").click()
        watched.page.wait_for_url("**/reports/spurious-small.html")
        assert watched.complaints == []


@needs_chromium
def test_the_main_table_of_every_board_fits_and_has_one_line_a_row(site, browser):
    seen = 0
    for suite in sorted(folder.name for folder in (ROOT / "leaderboard/records").iterdir()):
        with opened(browser, site[0] / f"leaderboard/{suite}.html", ready="main h1") as watched:
            tables = watched.page.evaluate(
                """() => [...document.querySelectorAll(".table")].filter(table => table.offsetParent).map(table => ({
                    first: table.querySelector("th").innerText,
                    beyond: table.scrollWidth - table.clientWidth,
                    lines: Math.max(...[...table.querySelectorAll("tbody tr")].map(row =>
                        row.getBoundingClientRect().height / parseFloat(getComputedStyle(row.cells[0]).lineHeight)))
                }))"""
            )
            main = [table for table in tables if table["first"] == "rank"]
            seen += len(main)
            assert [table for table in main if table["beyond"] > 0 or table["lines"] > 1.9] == [], suite
    assert seen >= 20


@needs_chromium
@pytest.mark.parametrize("place", [HOME, BOARD, "leaderboard/index.html"])
def test_on_a_phone_names_in_tables_are_whole_and_verdicts_are_in_sight(site, browser, place: str):
    with opened(browser, site[0] / place, 390, ready="main h1") as watched:
        broken = watched.page.evaluate(
            """() => [...document.querySelectorAll(".table :is(th, td)")].filter(cell => cell.offsetParent)
                .flatMap(cell => [...cell.querySelectorAll("a")].flatMap(link => [...link.childNodes]))
                .flatMap(text => [...text.data.matchAll(/\\p{L}+/gu)].filter(word => {
                    const range = document.createRange();
                    range.setStart(text, word.index);
                    range.setEnd(text, word.index + word[0].length);
                    return new Set([...range.getClientRects()].map(one => Math.round(one.top))).size > 1;
                }).map(word => word[0]))"""
        )
        assert broken == []
        heads = watched.page.locator("th").filter(has_text=re.compile("^verdict$"), visible=True).all()
        assert all(head.bounding_box()["x"] + head.bounding_box()["width"] <= 390 for head in heads)
        assert bool(heads) == (place == BOARD)


@needs_chromium
def test_search_works_from_disk_by_keyboard(site, browser):
    with opened(browser, site[0] / HOME) as watched:
        watched.page.keyboard.press("/")
        watched.page.keyboard.type("recall balance")
        watched.page.wait_for_selector(".md-search-result__item a", timeout=20_000)
        assert "recall" in watched.page.inner_text(".md-search-result__list").lower()
        assert not [one for one in watched.requests if not one.startswith("file:")]
        assert watched.complaints == []


@needs_chromium
def test_the_theme_is_switched_by_keyboard_and_stays(site, browser):
    with opened(browser, site[0] / HOME) as watched:
        scheme = "document.body.getAttribute('data-md-color-scheme')"
        assert watched.page.evaluate(scheme) == "default"
        for _ in range(12):
            watched.page.keyboard.press("Tab")
            if watched.page.evaluate("document.activeElement.matches('.md-option')"):
                break
        watched.page.keyboard.press("ArrowDown")
        watched.page.wait_for_function(f"{scheme} === 'slate'")
        watched.page.goto((site[0] / PAGE).as_uri())
        assert watched.page.evaluate(scheme) == "slate"


@needs_chromium
def test_the_site_works_from_a_server(site, browser):
    handler = functools.partial(SilentHandler, directory=str(site[0]))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page, here = browser.new_page(), f"http://127.0.0.1:{server.server_port}/"
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(here)
        page.keyboard.press("/")
        page.keyboard.type("glossary")
        page.wait_for_selector(".md-search-result__item a", timeout=20_000)
        page.goto(f"{here}{BOARD}")
        page.get_by_role("link", name="jtt").first.click()
        page.wait_for_url("**/docs/methods/jtt.html")
        page.close()
        server.shutdown()
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((here, "data:", "blob:"))] == []


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        pass
