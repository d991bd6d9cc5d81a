"""Rows in published settings run with them: each setting stands in the table with its source; the page is the table."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Mapping

import pytest

from benchbias.runner.workspace import Workspace
from benchbias.suite.catalogue import load, shipped_file
from benchbias.suite.settings import settings_from
from support import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
try:
    import effective_weights
    import published_settings
    import resolved_settings
finally:
    sys.path.remove(str(ROOT / "benchmarks"))

PAPERS = published_settings.load_table()


@functools.cache
def resolved() -> Mapping[resolved_settings.Place, resolved_settings.Settings]:
    return dict(resolved_settings.published(Workspace.open(shipped_file(), quiet=True)))


pytestmark = pytest.mark.slow  # every suite is planned


def told(rows: Mapping[resolved_settings.Place, resolved_settings.Settings]) -> list[str]:
    return list(published_settings.differences(PAPERS, rows))


def test_every_setting_that_the_planner_resolves_is_the_tables():
    assert told(resolved()) == []


def test_every_row_that_says_so_in_any_suite_is_looked_at():
    catalogue = load(shipped_file())
    named = {
        (suite, task, method)
        for suite, table in catalogue.suites.items()
        for task, method in itertools.product(table.tasks, table.methods)
        if settings_from(catalogue, table, method) == "paper"
    }
    assert {tuple(place) for place in resolved()} == named
    assert len({method for _, _, method in named}) >= 36


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("rest-paper", "1.betas", "paper"),
        ("disent-rest", "1.recipe.lr", 0.01),
        ("disent-rest", "1.lambda_swap", 1.0),
        ("mrm-rest", "2.alpha", 1e-5),
        ("rest-code", "1.recipe.select", "val_worst_group"),
    ],
)
def test_a_setting_of_another_data_set_is_found_on_bffhq(method: str, name: str, value: object):
    place = resolved_settings.Place("rest-bffhq", "bffhq-128", method)
    changed = {place: {**resolved()[place], name: value}}
    assert [
        line for line in told({**resolved(), **changed}) if line.startswith(f"rest-bffhq/bffhq-128/{method}: {name} ")
    ]


def test_a_row_and_a_setting_that_the_table_lacks_are_found():
    place, settings = next(iter(resolved().items()))
    new = resolved_settings.Place(place.suite, place.task, "another-published")
    missing = told({**resolved(), new: settings})
    assert any("another-published" in line and "stands in no line" in line for line in missing)
    more = told({**resolved(), place: {**settings, "1.recipe.warm_up": 5}})
    assert more == [f"{'/'.join(place)}: 1.recipe.warm_up = 5 stands in no line of the table"]


def test_a_line_that_is_of_no_row_is_found():
    fewer = {place: settings for place, settings in resolved().items() if place.method != "rest-paper"}
    assert any("paper_bffhq" in line or "1.betas" in line for line in told(fewer))


def test_the_page_is_the_tables():
    page = (ROOT / "docs/published-settings.md").read_text()
    assert page == published_settings.page(PAPERS)


def test_a_weight_alone_in_its_batch_is_what_it_says_and_a_common_one_less():
    """With no other conflicting example in sight the divisor is the batch's own: 1/(79 + B) against 1/B."""
    rare = effective_weights.effective_weight(80, 1e-12, 256)
    assert rare == pytest.approx(80 * 256 / (80 + 255))
    assert effective_weights.effective_weight(1, 0.3, 64) == pytest.approx(1)
    assert effective_weights.effective_weight(80, 0.05, 64) == pytest.approx(57, abs=1)
    weights = [effective_weights.effective_weight(80, 0.05, size) for size in (16, 64, 256, 1024)]
    assert weights == sorted(weights)
    assert weights[-1] < 80
