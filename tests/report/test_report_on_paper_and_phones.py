"""A report on paper, on a phone and in between: names whole, verdicts in sight, charts that can be read."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchbias.report.gathering.source import Source
from benchbias.report.making import write_report
from support.browser import AXE, needs_chromium, opened
from support.made_records import LAYOUTS, counted
from support.made_reports import SUITE

pytestmark = [pytest.mark.slow, needs_chromium]

BROKEN_WORDS = r"""() => {
    const found = [];
    for (const cell of document.querySelectorAll(":is(#overview, #table) :is(th, td)")) {
        if (!cell.offsetParent) continue;
        const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) for (const word of walker.currentNode.data.matchAll(/\p{L}+/gu)) {
            const range = document.createRange();
            range.setStart(walker.currentNode, word.index);
            range.setEnd(walker.currentNode, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size > 1) found.push(word[0]);
        }
    }
    return found;
}"""
"""The words of tables in the two first sections that go on in a second line."""

FOREST = "#overview figure.chart svg[role=img]"


def rows_of(page: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(page.locator("#document").text_content())["suites"][0]["board"]["rows"]
    return rows


def test_on_paper_names_and_headings_stand_and_the_table_fits(chromium: Any, reports: dict[str, Path]):
    with opened(chromium, reports["made"], 718) as watched:
        page = watched.page
        page.emulate_media(media="print")
        names = page.locator("table.board button.open").filter(visible=True).all_inner_texts()
        assert names == [row["words"] for row in rows_of(page)]
        heads = page.locator("table.board thead th")
        assert page.locator("button.sort").filter(visible=True).count() == heads.count()
        assert page.locator("button:not(.sort, .open)").filter(visible=True).count() == 0
        assert page.locator("table.board").evaluate("one => one.getBoundingClientRect().right") <= 718
        assert page.evaluate(BROKEN_WORDS) == []


def test_charts_are_drawn_for_paper_and_then_for_the_screen_again(chromium: Any, reports: dict[str, Path]):
    with opened(chromium, reports["made"]) as watched:
        page = watched.page
        page.evaluate(
            f"addEventListener('beforeprint', () => {{ window.paper = [...document.querySelectorAll('{FOREST}')]"
            ".map(one => Number(one.getAttribute('width'))); })"
        )
        page.pdf()
        assert page.evaluate("window.paper.length") == 2
        assert max(page.evaluate("window.paper")) < 720
        assert page.locator(FOREST).first.evaluate("one => Number(one.getAttribute('width'))") > 1000


@pytest.mark.parametrize("name", ["made", "few"])
def test_on_a_phone_words_are_whole_and_verdicts_are_in_sight(chromium: Any, reports: dict[str, Path], name: str):
    with opened(chromium, reports[name], 390) as watched:
        page = watched.page
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.locator("button.open").first.click()
        assert page.evaluate(BROKEN_WORDS) == []
        keys = page.locator("button.sort").evaluate_all("all => all.map(one => one.dataset.column)")
        assert keys[:2] == ["method", "verdict"]
        verdicts = page.locator("tr.row .verdict").all()
        assert all(one.bounding_box()["x"] + one.bounding_box()["width"] <= 390 for one in verdicts)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.wait_for_function("document.querySelector('button.sort').dataset.column === 'rank'")


@pytest.mark.parametrize("width", [390, 560, 720, 899, 1280])
def test_the_forest_has_room_and_its_ticks_stand_apart(chromium: Any, reports: dict[str, Path], width: int):
    with opened(chromium, reports["made"], width) as watched:
        forest = watched.page.locator(FOREST).first
        texts = [one.bounding_box() for one in forest.locator("text").all()]
        whole = forest.bounding_box()
        ticks = sorted((one for one in texts if one["y"] > whole["y"] + whole["height"] - 40), key=lambda one: one["x"])
        ticks = [one for one in ticks if one["y"] < whole["y"] + whole["height"] - 22]
        assert len(ticks) >= 2
        assert all(one["x"] + one["width"] + 3 < other["x"] for one, other in itertools.pairwise(ticks))
        assert ticks[-1]["x"] - ticks[0]["x"] > 0.4 * whole["width"]
        numbers = [text for text in forest.locator("text").all_text_contents() if re.search(r" \(.* to .*\)", text)]
        assert (len(numbers) > 0) == (width > 940)


def test_long_names_are_inside_of_the_forest_and_whole_for_who_points_at_them(chromium: Any, tmp_path: Path):
    suite = {**SUITE, "ceiling": None}
    names = ("W" * 200, "\u6f22" * 90, "i" * 200, "short")
    records = [
        counted(name, seed, (0.9, 0.5), suite=suite, baseline=None if name == "plain" else "plain")
        for name in ("plain", *names)
        for seed in range(3)
    ]
    write_report([Source("probe", records, LAYOUTS)], tmp_path / "long.html")
    for width in (390, 1280):
        with opened(chromium, tmp_path / "long.html", width) as watched:
            assert watched.sideways() == 0
            for svg in watched.page.locator(FOREST).all():
                assert all(one.bounding_box()["x"] >= 0 for one in svg.locator("text").all())
                ends = svg.locator("text:has(> title)").evaluate_all(
                    "all => all.map(one => one.getBoundingClientRect())"
                )
                half = svg.bounding_box()["x"] + 0.5 * svg.bounding_box()["width"]
                assert all(one["right"] < half for one in ends if one["left"] < half), "no room is left for the points"
                titles = svg.locator("text > title").all_text_contents()
                assert set(names) <= set(titles)


def test_seeds_add_up_to_the_mean_as_counted(chromium: Any, reports: dict[str, Path]):
    with opened(chromium, reports["made"]) as watched:
        page, told = watched.page, 0
        for row in rows_of(page):
            page.locator(f'[aria-controls="{row["id"]}-detail"]').click()
            detail = page.locator(f"#{row['id']}-detail")
            cells = detail.locator("table").first.locator("tbody tr").first.locator("td").all_inner_texts()
            seeds = [float(text) for text in cells[-len(row["seeds"]) :]]
            mean = float(cells[-1 - len(seeds)].split(" ")[0])
            assert mean == pytest.approx(sum(seeds) / len(seeds), abs=0.11)
            told += len(cells) - len(seeds) - 1
            assert ("as counted" in detail.inner_text()) == (len(cells) > len(seeds) + 1)
        assert told > 0, "no row has another mean: the test is of nothing"


def test_below_three_seeds_rows_are_not_judged_and_the_page_says_so(chromium: Any, reports: dict[str, Path]):
    with opened(chromium, reports["few"]) as watched:
        page = watched.page
        gaps = [row for row in rows_of(page) if row["gap"]]
        assert gaps
        assert all(row["verdict"] is None for row in gaps)
        told = page.locator("#overview").inner_text()
        assert "Nothing is ranked" in told
        assert "Below three seeds nothing is judged." in told
        page.locator("#table").get_by_label("Verdict", exact=True).select_option("not judged")
        assert page.locator("tr.row").count() == len(gaps)
        assert set(page.locator("tr.row .verdict").all_inner_texts()) == {"◇ not judged"}
        assert watched.complaints == []


@pytest.mark.parametrize("name", ["made", "few"])
def test_headings_follow_in_order_and_no_two_regions_have_one_name(chromium: Any, reports: dict[str, Path], name: str):
    with opened(chromium, reports[name]) as watched:
        page = watched.page
        for button in page.locator("button.open").all()[:3]:
            button.click()
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {runOnly: ['heading-order', 'landmark-unique']})")["violations"]
        places = [str(node["target"][0]) for one in found for node in one["nodes"]]
        here = [place for place in places if page.locator(place).evaluate("one => !!one.closest('#overview, #table')")]
        assert here == []
