"""A report as a reader uses it: in a headless Chromium, opened from disk, by keyboard, in both themes, on a phone."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from support.browser import SCHEMES, WIDTHS, Watched, needs_chromium, opened
from support.made_reports import HOSTILE, large_source

pytestmark = [pytest.mark.slow, needs_chromium]

Open = Callable[..., AbstractContextManager[Watched]]


@pytest.fixture
def shown(chromium: Any, reports: dict[str, Path]) -> Open:
    def show(name: str, width: int = 1280, scheme: str = "light") -> AbstractContextManager[Watched]:
        return opened(chromium, reports[name], width, scheme)

    return show


@pytest.fixture
def made(shown: Open) -> Iterator[Any]:
    """The page of the ordinary report at 1280 px."""
    with shown("made") as watched:
        yield watched.page
        assert watched.complaints == []


def document(page: Any) -> Any:
    return json.loads(page.locator("#document").text_content())


def rows_of(page: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = document(page)["suites"][0]["board"]["rows"]
    return rows


def column(page: Any, key: str) -> list[str]:
    """The texts of one column of the main table, from the top."""
    keys = page.locator("table.board thead button").evaluate_all("all => all.map(one => one.dataset.column)")
    cells = page.locator(f"table.board tbody tr.row > *:nth-child({keys.index(key) + 1})")
    return [text.replace("▸", "") for text in cells.all_inner_texts()]


def tab_to(page: Any, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("([wanted]) => document.activeElement.matches(wanted)", [selector]):
            return
    raise AssertionError(f"Tab does not reach {selector}")


@pytest.mark.parametrize(("name", "width", "scheme"), list(itertools.product(("made", "hostile"), WIDTHS, SCHEMES)))
def test_it_opens_without_a_request_a_complaint_a_serious_fault_or_sideways_scrolling(
    shown: Open, name: str, width: int, scheme: str
):
    """Everything that can be unfolded is, one row of the table too."""
    with shown(name, width, scheme) as watched:
        page = watched.page
        page.locator("button.open").first.click()
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert watched.sideways() == 0
        assert watched.serious_faults() == []
        assert all(url.startswith(("file:", "data:")) for url in watched.requests)
        assert sum(url.startswith("file:") for url in watched.requests) == 1
        assert watched.complaints == []
        assert page.locator("section").count() >= 4
        assert page.locator("figure.chart:visible svg[role=img]").count() >= 4


def test_a_fault_would_be_found(shown: Open):
    """The watch itself works: a request, a complaint, a wide element and an image without a text are seen."""
    with shown("made") as watched:
        watched.page.evaluate("console.error('told')")
        watched.page.evaluate("document.body.append(Object.assign(new Image(), {src: 'absent.png'}))")
        watched.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div style=\"width:3000px\">wide</div>')")
        watched.page.wait_for_timeout(100)
        assert any("told" in text for text in watched.complaints)
        assert any("Content Security Policy" in text for text in watched.complaints), "the policy lets an image load"
        assert watched.sideways() > 1000
        assert any(text.startswith("image-alt") for text in watched.serious_faults())


def test_hostile_names_are_text_everywhere(shown: Open):
    with shown("hostile") as watched:
        page = watched.page
        for button in page.locator("button.open").all():
            button.click()
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        text = page.locator("body").inner_text()
        for name in (*HOSTILE[:3], HOSTILE[4], HOSTILE[5], HOSTILE[7], HOSTILE[8], HOSTILE[9]):
            assert name in text, name
        assert page.evaluate("window.hacked") is None
        assert page.locator("main img, main script, main iframe, main b").count() == 0
        assert (
            page.locator("a").evaluate_all("all => all.filter(one => !one.getAttribute('href').startsWith('#')).length")
            == 0
        )
        assert "\u202e" not in text
        assert watched.complaints == []


@pytest.mark.parametrize("name", ["made", "hostile", "few", "large"])
def test_rows_are_one_line_and_all_columns_are_in_sight(shown: Open, name: str):
    with shown(name) as watched:
        page = watched.page
        heights = page.locator("table.board tbody tr.row").evaluate_all("all => all.map(one => one.clientHeight)")
        assert len(heights) == len(rows_of(page))
        assert max(heights) < 36, "a row wraps"
        wide = page.locator("table.board").evaluate("one => one.scrollWidth - one.parentElement.clientWidth")
        assert wide <= 0, "the table scrolls sideways"
        assert ("†" in page.locator("table.board").inner_text()) == (name == "few")


def test_on_a_phone_the_table_scrolls_inside_of_its_own_box(shown: Open):
    with shown("made", 390) as watched:
        box = watched.page.locator(".box:has(> table.board)")
        assert box.evaluate("one => one.scrollWidth - one.clientWidth") > 100
        assert watched.sideways() == 0
        box.focus()
        watched.page.keyboard.press("ArrowRight")
        watched.page.wait_for_timeout(300)
        assert box.evaluate("one => one.scrollLeft") > 0, "the box cannot be scrolled by the keyboard"


def test_sorting_by_keyboard_orders_rows_as_the_data_and_says_so(made: Any):
    def metric(row: dict[str, Any]) -> float:
        return float(row["metrics"]["worst_group_accuracy"]["mean"])

    tab_to(made, '[data-column="metric"]')
    made.keyboard.press("Enter")
    values = [float(text.split(" ")[0]) for text in column(made, "metric")]
    assert values == [
        pytest.approx(100 * metric(row), abs=0.051) for row in sorted(rows_of(made), key=metric, reverse=True)
    ]
    head = made.locator('th:has([data-column="metric"])')
    assert head.get_attribute("aria-sort") == "descending"
    assert made.locator('th[aria-sort="descending"], th[aria-sort="ascending"]').count() == 1
    made.keyboard.press("Enter")
    assert [float(text.split(" ")[0]) for text in column(made, "metric")] == sorted(values)
    assert head.get_attribute("aria-sort") == "ascending"
    tab_to(made, '[data-column="method"]')
    made.keyboard.press("Space")
    assert column(made, "method") == sorted(row["words"] for row in rows_of(made))
    assert set(column(made, "task")) == {"toy", "other"}
    made.get_by_role("button", name="Order of the board").focus()
    made.keyboard.press("Enter")
    assert column(made, "method") == [row["words"] for row in rows_of(made)]
    assert made.locator('[aria-sort="descending"], [aria-sort="ascending"], [data-column="task"]').count() == 0


@pytest.mark.parametrize("key", ["gap", "cost", "rank", "verdict"])
def test_rows_without_a_value_stand_last_in_both_orders(made: Any, key: str):
    for _ in range(2):
        made.locator(f'[data-column="{key}"]').click()
        found = [text in ("–", "collapsed") for text in column(made, key)]
        assert found == sorted(found)
    if key != "cost":
        assert True in found, "nothing lacks a value: the test is of nothing"


def choose(page: Any, label: str, value: str) -> None:
    """Choose in a labelled list by keyboard."""
    select = page.locator("#table").get_by_label(label, exact=True)
    select.focus()
    for _ in range(40):
        if select.input_value() == value:
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"{label} has no {value}")


FILTERS: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    "Task": ("other", lambda row: row["task"] == "other"),
    "Labels used": ("training", lambda row: row["labels"] == "training"),
    "Method": ("small", lambda row: row["method"] == "small"),
    "Sparsity": ("high", lambda row: row["sparsity"] >= 0.945),
    "Verdict": ("harms", lambda row: row["verdict"] == "harms"),
}


@pytest.mark.parametrize("label", FILTERS)
def test_filtering_by_keyboard_shows_the_rows_that_fit(made: Any, label: str):
    value, fits = FILTERS[label]
    wanted = [row["words"] for row in rows_of(made) if fits(row)]
    assert 0 < len(wanted) < len(rows_of(made))
    choose(made, label, value)
    assert column(made, "method") == wanted
    assert made.locator("#table [role=status]").inner_text() == f"{len(wanted)} of {len(rows_of(made))} rows."


def test_text_is_sought_in_names_and_marks_and_filters_add_up(made: Any):
    made.locator("#table").get_by_label("Text").focus()
    made.keyboard.type("COLLAPSED")
    assert set(column(made, "method")) == {"lost"}
    choose(made, "Task", "toy")
    assert column(made, "method") == ["lost"]
    made.locator("#table").get_by_label("Text").fill("no such row")
    assert made.locator("table.board tbody").inner_text().strip() == "No row fits the filters."


def test_a_row_opens_by_enter_and_tells_groups_seeds_marks_and_the_command(made: Any):
    row = next(row for row in rows_of(made) if row["marks"] and row["verdict"])
    tab_to(made, f'[aria-controls="{row["id"]}-detail"]')
    button, detail = made.locator(f'[aria-controls="{row["id"]}-detail"]'), made.locator(f"#{row['id']}-detail")
    assert (button.get_attribute("aria-expanded"), detail.is_visible()) == ("false", False)
    made.keyboard.press("Enter")
    assert (button.get_attribute("aria-expanded"), detail.is_visible()) == ("true", True)
    text = detail.inner_text()
    assert row["command"] in text
    assert all(mark in text for mark in row["marks"])
    assert all(group["name"] in text for group in row["groups"])
    cells = detail.locator("table").first.locator("tbody tr").first.locator("td").all_inner_texts()
    values = row["perSeed"]["worst_group_accuracy"]
    assert cells[-len(values) :] == [f"{100 * value:.1f}" for value in values]
    made.keyboard.press("Enter")
    assert not detail.is_visible()


def test_the_theme_is_turned_by_keyboard_and_charts_follow(made: Any):
    def looks() -> tuple[str, str]:
        colour = "one => getComputedStyle(one).fill"
        return (
            made.evaluate("getComputedStyle(document.body).backgroundColor"),
            made.locator("#overview .plot svg[role=img] text").first.evaluate(colour),
        )

    before = looks()
    tab_to(made, "button.theme")
    made.keyboard.press("Enter")
    after = looks()
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert made.locator("button.theme").inner_text() == "Light theme"
    made.keyboard.press("Enter")
    assert looks() == before


def test_on_paper_the_page_is_light_and_has_no_controls(shown: Open):
    with shown("made", scheme="dark") as watched:
        page = watched.page
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("button.theme, nav, .controls").filter(visible=True).count() == 0
        assert len(page.pdf()) > 10_000


def test_each_chart_has_a_title_a_description_and_its_data(made: Any):
    figures = made.locator("figure.chart").all()
    assert len(figures) >= 5
    for figure in figures:
        label = figure.locator("svg[role=img]").get_attribute("aria-label")
        assert len(label) > 40
        figure.locator("summary").click()
        assert figure.locator("tbody tr").count() > 1
        assert figure.locator("caption").count() == 1


def test_the_data_of_the_forest_plot_are_the_gaps(made: Any):
    figure = made.locator("figure.chart").first
    figure.locator("summary").click()
    rows = [row for row in rows_of(made) if row["task"] == "other" and row["gap"]]
    shown = figure.locator("tbody tr").all()
    assert len(shown) == len(rows)
    for line, row in zip(shown, rows, strict=True):
        cells = line.locator("th, td").all_inner_texts()
        assert cells[0] == row["words"]
        assert float(cells[2].split(" ")[0].replace("−", "-")) == pytest.approx(100 * row["gap"]["mean"], abs=0.051)
        assert cells[4].split(" ", 1)[1] == row["verdict"]


def test_the_front_holds_the_points_that_no_other_one_beats(made: Any):
    drawn = random.Random(5)
    for _ in range(60):
        points = [[drawn.randint(0, 6), drawn.randint(0, 6)] for _ in range(drawn.randint(1, 12))]
        found = made.evaluate("all => benchbias.tools.front(all, one => one[0], one => one[1])", points)
        best = [one for one in points if not any(x <= one[0] and y >= one[1] and [x, y] != one for x, y in points)]
        assert sorted(found) == sorted(best)


def test_numbers_are_printed_as_the_board_prints_them(made: Any):
    values = [k / 400 for k in range(-40, 41)] + [random.Random(1).uniform(-1, 1) for _ in range(200)]
    found = made.evaluate("all => all.map(one => benchbias.tools.number(one))", values)
    assert [text.replace("−", "-") for text in found] == [f"{100 * value:z.1f}" for value in values]


def test_two_suites_are_one_choice_apart(shown: Open):
    with shown("both") as watched:
        page = watched.page
        assert page.locator("h1").inner_text() == "Probe of reports"
        page.get_by_label("Suite").focus()
        page.keyboard.press("ArrowDown")
        assert page.locator("h1").inner_text() == HOSTILE[0]
        assert page.locator("section").count() >= 3
        assert watched.complaints == []


def test_a_curve_is_drawn_for_every_metric_and_debiasing_rows_are_in_it(made: Any):
    part = made.locator("#curves")
    for metric in document(made)["suites"][0]["head"]["metrics"]:
        part.get_by_label("Metric").select_option(metric)
        assert metric.replace("_", " ") in part.locator("figcaption strong").inner_text().lower()
        part.locator("summary").click()
        names = part.locator("tbody th").all_inner_texts()
        assert {row["words"] for row in rows_of(made) if row["task"] == "other"} == set(names)
        description = re.sub("[\u2068\u2069]", "", part.locator("figcaption").inner_text())
        assert "ceiling: top" in description
        assert "dense controls: longer; plain" in description


def test_a_thousand_trials_are_small_enough_and_work(shown: Open, reports: dict[str, Path]):
    assert len(large_source().records) == 1000
    assert reports["large"].stat().st_size < 15e6
    with shown("large") as watched:
        assert watched.page.locator("table.board tbody tr.row").count() == 200
        watched.page.locator("#table").get_by_label("Text").fill("task-07")
        assert watched.page.locator("table.board tbody tr.row").count() == 10
        assert watched.complaints == []
