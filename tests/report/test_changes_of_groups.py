"""Who is hit: changes of groups are what the records count, paired, and judged for all groups together."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from benchbias.report.gathering.groups import gather_groups
from benchbias.report.gathering.source import Source
from benchbias.statistics.estimates import difference, p_value
from benchbias.statistics.influence import measure_group
from support.made_records import LAYOUTS, counted, without_counts

SEEDS = 8


def made(method: str, shares: tuple[float, float], **body: object) -> list:
    return [counted(method, seed, shares, **body) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def source() -> Source:
    records = [
        *made("plain", (0.95, 0.8)),
        *made("pruned", (0.95, 0.2), baseline="plain"),
        *made("alone", (0.9, 0.5)),
    ]
    return Source("probe", records, LAYOUTS)


def bodies(source: Source, method: str) -> dict[int, dict]:
    return {one.body["seed"]: dict(one.body) for one in source.records if one.body["method"] == method}


def test_a_pair_is_a_row_with_a_control_and_a_change_is_the_mean_of_what_records_count(source: Source):
    (pair,) = gather_groups(source)
    assert (pair["row"], pair["control"], pair["task"]) == ("pruned", "plain", "toy")
    after, before = bodies(source, "pruned"), bodies(source, "plain")
    for group, change in enumerate(pair["changes"]):
        gaps = [
            after[seed]["group_correct"][group] / after[seed]["group_total"][group]
            - before[seed]["group_correct"][group] / before[seed]["group_total"][group]
            for seed in after
        ]
        assert change["mean"] == pytest.approx(statistics.fmean(gaps), abs=1e-6)
        assert change["low"] < change["mean"] < change["high"]
        assert change["n"] == SEEDS


def test_a_change_has_the_interval_of_the_paired_difference_of_the_group(source: Source):
    """The oracle measures each record alone, over all its cells; the draw of other groups' examples is no part."""
    (pair,) = gather_groups(source)
    rows = {row.label: row for row in source.rows}
    for group, change in enumerate(pair["changes"]):
        sides = [
            {seed: measure_group(group, cells) for seed, cells in rows[name].cells.items() if cells is not None}
            for name in ("pruned", "plain")
        ]
        gap = difference(*sides)
        assert gap is not None
        assert change["mean"] == pytest.approx(gap.mean, abs=1e-6)
        assert change["high"] - change["low"] == pytest.approx(2 * gap.half_width, rel=0.05)


def test_planted_harm_is_found_in_the_conflicting_groups_and_in_no_other(source: Source):
    (pair,) = gather_groups(source)
    aligned = bodies(source, "plain")[0]["group_aligned"]
    assert pair["verdicts"] == ["undecided" if one else "lower" for one in aligned]


def test_verdicts_are_adjusted_for_the_groups_of_the_pair():
    """A group that would be lower alone is undecided among four where its p-value is between 5 and 1.25 %."""
    found = []
    for share in (0.4, 0.62, 0.65, 0.68, 0.7, 0.72, 0.74):
        records = [*made("plain", (0.9, 0.8)), *made("near", (0.9, share), baseline="plain")]
        source = Source("probe", records, LAYOUTS)
        rows = {row.label: row for row in source.rows}
        (pair,) = gather_groups(source)
        for group, verdict in enumerate(pair["verdicts"]):
            sides = [{s: measure_group(group, c) for s, c in rows[name].cells.items()} for name in ("near", "plain")]
            found.append((p_value(difference(*sides)), verdict))
    assert all(verdict == "undecided" for p, verdict in found if p > 0.055)
    assert any(p < 0.045 and verdict == "undecided" for p, verdict in found), "nothing was adjusted"
    assert any(verdict == "lower" for _, verdict in found)


def test_a_row_beside_itself_changes_nothing(source: Source):
    twins = [
        replace(one, body={**one.body, "method": "same", "baseline": "plain", "trial": one.id[::-1]})
        for one in source.records
        if one.body["method"] == "plain"
    ]
    pairs = gather_groups(Source("probe", [*source.records, *twins], LAYOUTS))
    (pair,) = [one for one in pairs if one["row"] == "same"]
    assert [change["mean"] for change in pair["changes"]] == [0, 0, 0, 0]
    assert set(pair["verdicts"]) == {"undecided"}


def test_records_without_counts_of_cells_have_the_same_changes_over_seeds_alone(source: Source):
    plain = gather_groups(Source("probe", [without_counts(one) for one in source.records], {}))
    for one, other in zip(plain[0]["changes"], gather_groups(source)[0]["changes"], strict=True):
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-6)


def test_a_group_that_some_seed_does_not_test_has_no_change():
    records = [*made("plain", (0.9, 0.8)), *made("pruned", (0.9, 0.2), baseline="plain")]
    bare = [without_counts(one) for one in records]
    first = bare[0].body
    bare[0] = replace(
        bare[0],
        body={
            **first,
            "group_total": [0, *first["group_total"][1:]],
            "group_correct": [0, *first["group_correct"][1:]],
        },
    )
    (pair,) = gather_groups(Source("probe", bare, {}))
    assert pair["changes"][0] is None
    assert pair["verdicts"][0] == "undecided"
    assert all(pair["changes"][1:])
