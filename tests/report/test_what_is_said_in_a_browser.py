"""What sections say of data that an ordinary report lacks, in a headless Chromium: the page's data are changed."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchbias.report.making import write_report
from support.browser import needs_chromium, opened
from support.made_galleries import BAD, illustrated_source

pytestmark = [pytest.mark.slow, needs_chromium]

Show = Callable[[Callable[[dict[str, Any]], None]], AbstractContextManager[Any]]

DATA = re.compile(r'(<script[^>]* id="document"[^>]*>)(.*?)(</script>)', re.DOTALL)
CLAIM = {
    "name": "one",
    "task": "toy",
    "says": BAD,
    "verdict": "supported",
    "sides": ["a", "b"],
    "expects": "higher",
    "margin": 3,
    "ofRows": True,
    "metric": "accuracy",
    "difference": {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 4, "examplesOnly": False},
    "p": 0.01,
    "power": 0.5,
    "marks": {},
    "noMerit": False,
    "about": "merit",
    "written": "before they",
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("said") / "report.html"
    write_report([illustrated_source()], path)
    return path.read_text(encoding="utf-8")


@pytest.fixture
def show(chromium: Any, text: str, tmp_path: Path) -> Show:
    """Open the report after a change of its suite's data; nothing may complain."""

    @contextmanager
    def shown(change: Callable[[dict[str, Any]], None]) -> Iterator[Any]:
        before, data, after = DATA.search(text).groups()  # type: ignore[union-attr]
        document = json.loads(data)
        change(document["suites"][0])
        made = json.dumps(document).replace("<", "\\u003c")
        path = tmp_path / "changed.html"
        path.write_text(DATA.sub(lambda _: before + made + after, text, count=1), encoding="utf-8")
        with opened(chromium, path) as watched:
            yield watched.page
            assert watched.complaints == []

    return shown


def test_images_without_modal_labels_are_not_called_pies(show: Show):
    def change(suite: dict[str, Any]) -> None:
        (gallery,) = suite["gallery"]["tasks"][0]["galleries"]
        gallery |= {"by": "counts", "modal": False, "counted": {"analysis": BAD, "pies": 17}}
        for item in gallery["items"]:
            item["pruned"] = None

    with show(change) as page:
        pies = page.locator("#pies")
        wrong = "images that most dense models get right and most pruned ones wrong"
        assert wrong in pies.locator("h3").inner_text()
        assert "PIE" not in page.locator("#pies-title").inner_text() + pies.locator("h3").inner_text()
        assert wrong in pies.locator(".gallery").get_attribute("aria-label")
        assert "These 60 are not the row's PIEs." in pies.inner_text()
        assert f"{BAD} counts 17 PIEs of this row" in pies.inner_text()
    with show(lambda suite: None) as page:
        assert page.locator("#pies h3").inner_text().endswith(": PIEs")
        assert "get right and most pruned ones wrong" not in page.locator("#pies").inner_text()


def test_rows_without_an_alpha_keep_their_table_and_the_reason(show: Show):
    def change(suite: dict[str, Any]) -> None:
        (one,) = suite["balance"]["alphas"]
        one["level"] = 0.99
        for line in one["lines"]:
            line |= {"alpha": None, "low": None, "high": None, "reliability": 0.334}

    with show(change) as page:
        balance = page.locator("#balance")
        assert "do not differ from none at 99 %" in balance.inner_text()
        assert "Their reliability is 0.33:" in balance.inner_text()
        balance.locator("summary").first.click()
        table = balance.locator("table").first
        assert table.locator("tbody tr").count() == 2
        assert "1.5" in table.inner_text(), "alpha if uniform stands in the table"


def test_a_cross_far_from_all_alphas_is_a_triangle_at_the_edge(show: Show):
    def far(suite: dict[str, Any]) -> None:
        suite["balance"]["alphas"][0]["lines"][0]["uniform"]["mean"] = 105.0

    for change, there in ((far, True), (lambda suite: None, False)):
        with show(change) as page:
            figure = page.locator("#balance figure").first
            assert ("A triangle at the edge" in figure.inner_text()) == there
            ticks = figure.locator('g:not([stroke]) > text, svg [text-anchor="end"] text').all_text_contents()
            numbers = [float(tick.replace("−", "-")) for tick in ticks if re.fullmatch(r"[−\d.]+", tick)]
            assert numbers
            assert max(numbers) < 20


def test_classes_open_on_the_most_pruned_row_with_axes_of_its_own(show: Show):
    def change(suite: dict[str, Any]) -> None:
        (one,) = suite["balance"]["balances"]
        wide = [
            {**line, "row": BAD, "control": BAD, "before": before, "after": after}
            for line, before, after in zip(one["lines"], (-9.0, 9.0), (9.0, -9.0), strict=True)
        ]
        one["lines"] = [*wide, *one["lines"]]

    with show(change) as page:
        balance = page.locator("#balance")
        assert balance.get_by_label("Row", exact=True).input_value() == "pruned"
        figure = balance.locator("figure").last
        ticks = figure.locator("svg text").all_text_contents()
        assert max(float(tick) for tick in ticks if re.fullmatch(r"\d+(\.\d+)?", tick)) < 2


def test_a_probe_opens_on_a_number_that_varies_and_patterns_of_layers_are_words(show: Show):
    def change(suite: dict[str, Any]) -> None:
        (probe,) = suite["heat"]["probes"]
        probe["numbers"] = [{"name": name, "kind": "count", "unit": ""} for name in ("neurons", "shared")]
        for at, cell in enumerate(probe["cells"]):
            known = {"low": None, "high": None, "n": 4, "examplesOnly": False}
            cell["values"] = {"neurons": {"mean": 26, **known}, "shared": {"mean": at, **known}}
        sweep = suite["heat"]["sweeps"][0]
        words = dict(zip(sweep["layers"], ("*", "!head"), strict=True))
        sweep["layers"] = list(words.values())
        for cell in sweep["cells"]:
            cell["layers"] = words[cell["layers"]]

    with show(change) as page:
        heat = page.locator("#heat")
        assert heat.get_by_label("Number", exact=True).input_value() == "shared"
        figure = heat.locator("figure").first
        figure.locator("summary").click()
        heads = figure.locator("tbody th").all_inner_texts()
        assert set(heads) == {"all layers", "all layers but head"}
        assert {"all layers", "all layers but head"} <= set(figure.locator("svg text").all_text_contents())


def test_claims_name_units_and_what_is_adjusted_and_no_heading_is_left_out(show: Show):
    def change(suite: dict[str, Any]) -> None:
        of_probe = {**CLAIM, "name": "other", "ofRows": False}
        suite["claims"] = {"sha256": "0" * 64, "of": 36, "claims": [CLAIM, of_probe]}
        suite["cards"]["tasks"][0]["uses"] = [
            {"kind": "model", "component": "net", "summary": "a net; `width` is one", "options": []}
        ]

    with show(change) as page:
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        claims = page.locator("#claims")
        heads = claims.locator("thead th").all_inner_texts()
        assert heads == ["claim", "verdict", "difference, in the claim's unit", "p, adjusted", "power"]
        first, second = claims.locator("tbody td:nth-child(3)").all_inner_texts()
        assert first.endswith(" points, n = 4")
        assert "points" not in second
        assert "The board adjusts its verdicts for the rows of a task" in claims.inner_text()
        levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
        assert all(later - sooner <= 1 for sooner, later in itertools.pairwise(levels))
        assert page.locator("#data code").first.inner_text() == "width"
        assert "a net; width is one" in page.locator("#data").inner_text()
