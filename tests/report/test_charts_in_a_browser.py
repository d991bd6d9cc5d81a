"""The charts of a report: fronts of metrics with a better side, names that cover nothing, axes with numbers, layers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from benchbias.records.trial import TrialRecord
from benchbias.report.gathering.source import Source
from benchbias.report.making import write_report
from support.browser import SCHEMES, Watched, needs_chromium, opened
from support.made_records import record

pytestmark = [pytest.mark.slow, needs_chromium]

Open = Callable[..., AbstractContextManager[Watched]]
ASIDE, METRICS = "spurious_attribute_accuracy", ["worst_group_accuracy", "accuracy", "spurious_attribute_accuracy"]
LAYERS = ("conv1", "conv2", "fc1", "fc2", "head")


def row(method: str, value: float, **body: Any) -> list[TrialRecord]:
    """Three seeds of a row, of which the metrics differ."""
    metrics = {"worst_group_accuracy": value, "accuracy": (1 + value) / 2, ASIDE: 1 - value}
    suite = {"metrics": METRICS, "reference": "erm"}
    seconds, body = (
        body.pop("seconds", 10.0),
        {"suite": suite, "metrics": metrics, "nonzero_parameters": 500_000} | body,
    )
    made = [record(method, seed, value, **body) for seed in range(3)]
    return [replace(one, measured={"seconds": seconds, "peak_memory_bytes": 525 * 2**20}) for one in made]


def crowd_source() -> Source:
    """Thirty rows with long names, in a heap and at the right edge; training times of 15 to 60 seconds."""
    made = row("erm", 0.5)
    for at in range(29):
        name = f"a-method-of-the-crowd-number-{at}"
        cost = {"training_flops": 5000 + 40 * at, "seconds": 15.0 + 1.5 * at, "sparsity": 0.9 if at > 20 else 0.03 * at}
        made += row(name, 0.6 + 0.004 * (at % 7), baseline="erm", **cost)
    return Source("crowd", made, {})


def layers_source() -> Source:
    """Layers pruned by name: three methods, two dense controls, fifteen curves."""
    made = [*row("erm", 0.5), *row("tuned", 0.55), *row("bare", 0.52)]
    for at, (method, layers, sparsity) in enumerate(
        itertools.product(("cut", "cut-tuned", "snip"), LAYERS, (0.5, 0.9))
    ):
        control = "tuned" if method == "cut-tuned" else ("erm" if layers == "fc1" else "bare")
        swept = {"layers": layers, "sparsity": sparsity}
        made += row(method, 0.3 + 0.005 * at, swept=swept, baseline=control, sparsity=0.4 * sparsity)
    return Source("layers", made, {})


@pytest.fixture(scope="module")
def shown(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Open:
    folder = tmp_path_factory.mktemp("charts")
    write_report([crowd_source()], folder / "crowd.html")
    write_report([layers_source()], folder / "layers.html")

    def show(name: str, width: int = 1280, scheme: str = "light") -> AbstractContextManager[Watched]:
        return opened(chromium, folder / f"{name}.html", width, scheme)

    return show


def figure_of(page: Any, at: int) -> Any:
    return page.locator("#cost figure").nth(at)


def dashed(figure: Any) -> int:
    return int(figure.locator('[stroke-dasharray="5 4"] path').count())


def test_no_front_is_drawn_where_a_metric_has_no_better_side(shown: Open):
    with shown("crowd") as watched:
        page = watched.page
        assert [dashed(figure_of(page, at)) for at in (0, 1)] == [1, 1]
        for at, label in enumerate(("Across", "Metric")):
            page.locator("#cost").get_by_label(label, exact=True).select_option(ASIDE)
            figure = figure_of(page, at)
            assert dashed(figure) == 0
            text = figure.locator("figcaption").inner_text()
            assert "No Pareto front is drawn" in text
            assert "dashed" not in text
            figure.locator("summary").click()
            assert "on the Pareto front" not in figure.locator("thead").inner_text()
            page.locator("#cost").get_by_label(label, exact=True).select_option("accuracy")
            assert dashed(figure) == 1
        assert watched.complaints == []


PLACES = """
figure => {
  const box = one => {
    const {left, right, top, bottom} = one.getBoundingClientRect();
    return {left, right, top, bottom};
  };
  const texts = [...figure.querySelectorAll('svg[role=img] text')];
  const marks = [...figure.querySelectorAll('svg[role=img] g > path, svg[role=img] g > circle')].map(box);
  const small = one => one.right > one.left && Math.max(one.right - one.left, one.bottom - one.top) < 18;
  return {
    frame: box(figure.querySelector('svg[role=img]')),
    names: texts.filter(one => /a-meth|^erm|^layers|control:/.test(one.textContent)).map(box),
    dots: marks.filter(small),
  };
}
"""


def meets(one: dict[str, float], other: dict[str, float], slack: float = 2.5) -> bool:
    """Whether two boxes share more than their rims."""
    return (
        one["left"] + slack < other["right"]
        and other["left"] + slack < one["right"]
        and one["top"] + slack < other["bottom"]
        and other["top"] + slack < one["bottom"]
    )


@pytest.mark.parametrize(("name", "width"), list(itertools.product(("crowd", "layers"), (1280, 700, 390))))
def test_names_cover_no_point_and_no_name_and_end_before_the_edge(shown: Open, name: str, width: int):
    with shown(name, width) as watched:
        found = [
            watched.page.evaluate(PLACES, one.element_handle())
            for one in watched.page.locator("#curves figure, #cost figure").all()
        ]
    assert len(found) == 3
    assert sum(len(one["names"]) for one in found) >= (2 if width == 390 else 9)
    for one in found:
        assert len(one["dots"]) >= 10
        assert all(box["right"] <= one["frame"]["right"] + 1 for box in one["names"])
        assert not [(box, dot) for box in one["names"] for dot in one["dots"] if meets(box, dot)]
        assert not [pair for pair in itertools.combinations(one["names"], 2) if meets(*pair)]


BELOW = """
figure => {
  const bottom = figure.querySelector('svg[role=img]').getBoundingClientRect().bottom;
  const low = one => one.getBoundingClientRect().top > bottom - 42;
  return [...figure.querySelectorAll('svg[role=img] text')].filter(low).map(one => one.textContent);
}
"""


def ticks(figure: Any) -> list[float]:
    """The numbers below the horizontal axis."""
    sizes = {"k": 1e3, "M": 1e6, "G": 1e9, "": 1.0}
    texts = [text for text in figure.evaluate(BELOW) if text[:1].isdigit()]
    return [float(text.split(" ")[0]) * sizes[text.partition(" ")[2]] for text in texts]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("cost", "unit", "within"),
    [
        ("seconds", "seconds", (8, 70)),
        ("peakBytes", "MiB", (440, 630)),
        ("nonzeroBytes", "KiB", (1500, 2500)),
        ("trainingFlops", "FLOPs", (4000, 8000)),
    ],
)
def test_the_axis_of_a_cost_has_numbers_at_even_steps_and_its_unit(
    shown: Open, cost: str, unit: str, within: tuple[float, float], width: int
):
    with shown("crowd", width) as watched:
        watched.page.locator("#cost").get_by_label("Cost", exact=True).select_option(cost)
        figure = figure_of(watched.page, 1)
        found = ticks(figure)
        assert unit in figure.locator("strong").inner_text()
    assert len(found) == len(set(found)) >= 3
    assert within[0] < min(found) < max(found) < within[1]
    steps = [after - before for before, after in itertools.pairwise(found)]
    assert max(steps) == pytest.approx(min(steps))


@pytest.mark.parametrize("most", [4, 8])
def test_ticks_are_few_distinct_and_inside_whatever_the_range(shown: Open, most: int):
    ranges = [(low, low * ratio) for low in (1e-6, 0.37, 15, 5.2e8) for ratio in (1.001, 1.4, 9, 12, 70, 1e3, 1e9)]
    with shown("crowd") as watched:
        for low, high in ranges:
            values = watched.page.evaluate("given => benchbias.tools.ticksOf(...given)", [[low, high], most])
            texts = watched.page.evaluate("all => [...benchbias.tools.tickTexts(all).values()]", values)
            assert (1 if high >= 10 * low else 3) <= len(values) <= most + 3, (low, high, values)
            assert len(set(texts)) == len(values)
            assert all(low <= value <= high for value in values)


def test_a_suite_of_many_curves_shows_those_of_one_method_named_by_their_layers(shown: Open):
    with shown("layers") as watched:
        page, part = watched.page, watched.page.locator("#curves")
        method = part.get_by_label("Method", exact=True)
        assert method.locator("option").all_inner_texts() == ["all", "snip", "cut-tuned", "cut"]
        for name, controls in {"cut": {"erm", "bare"}, "cut-tuned": {"tuned"}}.items():
            method.select_option(label=name)
            assert part.locator('[aria-label="line"] path, g[stroke-width="2"] > path').count() == len(LAYERS)
            text = part.locator("figcaption").inner_text()
            assert all(control in text for control in controls)
            assert part.locator('g[stroke-dasharray="7 4"] line').count() == len(controls)
            names = part.locator("figure text").all_text_contents()
            assert {f"layers {one}" for one in LAYERS} & set(names)
            assert not [one for one in names if one.startswith("cut")]
            told = [one.strip() for one in part.locator("ul.key li").all_inner_texts()]
            assert told == [f"layers {one}" for one in LAYERS]
        method.select_option("")
        assert part.locator('g[stroke-dasharray="7 4"] line').count() == 3
        assert "30 rows" not in part.locator("figcaption").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert watched.complaints == []


def test_the_axis_takes_the_sparsity_of_the_pruned_layers(shown: Open):
    with shown("layers") as watched:
        part = watched.page.locator("#curves")
        assert max(ticks(part.locator("figure"))) == 90
        assert "of the pruned layers" in part.locator("figure svg[role=img]").inner_html()
        part.get_by_label("Sparsity", exact=True).select_option("")
        assert max(ticks(part.locator("figure"))) < 40
        assert "Sparsity is that of the whole network" in part.locator("figcaption").inner_text()


CONTRAST = """
figure => {
  const parts = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = colour => {
    const linear = one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = parts(colour).map(one => linear(one / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light(getComputedStyle(document.body).backgroundColor);
  return [...figure.querySelectorAll('text')].filter(one => /[a-z]/.test(one.textContent)).map(one => {
    const ink = light(getComputedStyle(one).fill);
    return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
  });
}
"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["crowd", "layers"])
def test_names_in_charts_have_a_contrast_of_4_5(shown: Open, name: str, scheme: str):
    with shown(name, scheme=scheme) as watched:
        for figure in watched.page.locator("#curves figure, #cost figure").all():
            found = watched.page.evaluate(CONTRAST, figure.element_handle())
            assert len(found) >= 3
            assert min(found) >= 4.5
