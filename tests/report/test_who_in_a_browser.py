"""Who is hit, PIEs, samples, heat maps and cards in a headless Chromium: by keyboard, in both themes, on a phone."""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchbias.report.making import write_report
from support.browser import SCHEMES, WIDTHS, needs_chromium, opened
from support.made_galleries import BAD, GROUPS, TASK, illustrated_source

pytestmark = [pytest.mark.slow, needs_chromium]

SECTIONS = ("who", "pies", "samples", "balance", "heat", "methods", "data", "manifest")


@pytest.fixture(scope="module")
def illustrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("illustrated") / "report.html"
    write_report([illustrated_source()], path)
    return path


@pytest.fixture
def page(chromium: Any, illustrated: Path) -> Iterator[Any]:
    with opened(chromium, illustrated) as watched:
        yield watched.page
        assert watched.complaints == []


@pytest.mark.parametrize(("width", "scheme"), list(itertools.product(WIDTHS, SCHEMES)))
def test_all_sections_stand_without_a_fault_a_request_or_sideways_scrolling(
    chromium: Any, illustrated: Path, width: int, scheme: str
):
    with opened(chromium, illustrated, width, scheme) as watched:
        found = watched.page.locator("section").evaluate_all("all => all.map(one => one.id)")
        assert [one for one in found if one in SECTIONS] == list(SECTIONS)
        watched.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        watched.page.wait_for_timeout(200)
        assert watched.sideways() == 0
        assert watched.serious_faults() == []
        assert watched.complaints == []
        assert all(url.startswith(("file:", "data:")) for url in watched.requests)
        assert watched.page.evaluate("window.hacked") is None


def test_hostile_names_are_text(page: Any):
    texts = page.locator("#samples tbody th").all_inner_texts()
    assert len(texts) == 2 * len(GROUPS)
    assert any("<img" in text for text in texts)
    assert page.locator('main img:not([src^="data:image/png;base64,"])').count() == 0
    assert page.locator("main script").count() == 0
    assert BAD in page.locator("#methods summary").first.inner_text()


def test_bars_say_what_the_folded_table_says_and_follow_the_choices(page: Any):
    who = page.locator("#who")
    document = json.loads(page.locator("#document").text_content())["suites"][0]
    pair = next(one for one in document["groups"] if one["row"] == "pruned")
    assert f"Of 4 groups, {pair['verdicts'].count('lower')} are lower" in who.inner_text()
    assert who.locator("svg[role=img] rect").count() == 2 * len(GROUPS)
    who.locator("summary").click()
    rows = who.locator("table tbody tr")
    assert rows.count() == 4
    cells = who.locator("tbody td:nth-child(7)").all_inner_texts()
    told = sorted(float(cell.split(" ")[0].replace("−", "-")) for cell in cells)
    assert told == pytest.approx(sorted(100 * change["mean"] for change in pair["changes"]), abs=0.051)
    who.get_by_label("Against", exact=True).select_option(index=2)
    assert "not its control" in who.inner_text()
    assert set(who.locator("tbody td:nth-child(7)").all_text_contents()) == {"–"}


def test_the_gallery_turns_by_keyboard_alone(page: Any):
    pies = page.locator("#pies")
    status = pies.locator("[role=status]")
    assert status.inner_text() == "Images 1 to 24 of 60, page 1 of 3"
    first = pies.locator("li img").first.get_attribute("alt")
    pies.get_by_label("Group", exact=True).focus()
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('gallery')"):
            break
    page.keyboard.press("ArrowRight")
    assert status.inner_text() == "Images 25 to 48 of 60, page 2 of 3"
    assert pies.locator("li img").first.get_attribute("alt") != first
    page.keyboard.press("End")
    assert status.inner_text() == "Images 49 to 60 of 60, page 3 of 3"
    page.keyboard.press("ArrowRight")
    assert status.inner_text().endswith("page 3 of 3")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert status.inner_text().endswith("page 2 of 3"), "the button turns the page too: back is off on the first page"


def test_class_group_and_level_filter_the_gallery(page: Any):
    pies = page.locator("#pies")
    items = json.loads(page.locator("#document").text_content())["suites"][0]["gallery"]["tasks"][0]["galleries"][0][
        "items"
    ]

    def shown() -> int:
        text = pies.locator("[role=status]").inner_text()
        return int(text.split(" of ")[1].split(",")[0]) if text.startswith("Images") else 0

    pies.get_by_label("Class", exact=True).select_option("1")
    assert shown() == sum(one["label"] == 1 for one in items)
    assert all("true 1" in text for text in pies.locator("figcaption").all_inner_texts())
    pies.get_by_label("Group", exact=True).select_option("3")
    assert shown() == sum(one["label"] == 1 and one["group"] == 3 for one in items)
    pies.get_by_label("Class", exact=True).select_option("all")
    pies.get_by_label("Group", exact=True).select_option("all")
    pies.get_by_label("Level").select_option("4")
    assert shown() == sum(4 - one["right"][1] >= 4 for one in items) > 0


def test_images_are_the_bytes_of_the_data_set(page: Any):
    test = illustrated_source().data(TASK).splits["test"]
    for one in page.locator("#pies li img").all()[:5]:
        at = int(one.get_attribute("alt").split("Test image ")[1].split(",")[0])
        content = base64.b64decode(one.get_attribute("src").split(",")[1])
        assert (np.asarray(Image.open(io.BytesIO(content))) == test.images[at].transpose(1, 2, 0)).all()


def test_a_heat_map_follows_its_choices_and_its_table_has_the_intervals(page: Any):
    heat = page.locator("#heat")
    assert heat.locator("figure.chart").count() == 2
    before = heat.locator("figure").first.locator("svg[role=img]").get_attribute("aria-label")
    heat.get_by_label("Metric").select_option(index=1)
    assert heat.locator("figure").first.locator("svg[role=img]").get_attribute("aria-label") != before
    heat.locator("summary").first.click()
    assert heat.locator("figure").first.locator("tbody tr").count() == 4
    assert " to " in heat.locator("figure").first.locator("tbody td.numeric").last.inner_text()
