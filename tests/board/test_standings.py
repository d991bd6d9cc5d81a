"""Ranks, tiers, collapse and resolution on a board: from records with counts, and against scipy where it applies."""

from __future__ import annotations

import pytest
from scipy import stats

from benchbias.board.markdown.details import details_page
from benchbias.board.rows import score
from benchbias.board.standings import board_of, needed_seeds
from benchbias.board.text import EXAMPLES_ALONE
from benchbias.errors import UsageError
from support.made_records import CLUSTERS, LAYOUTS, SHARES, counted, four_methods, record, without_counts
from support.made_records import board as markdown_without_layouts
from support.markdown import tables


def test_rows_that_are_told_apart_have_different_ranks_and_others_share_one():
    (standing,) = board_of(four_methods(), LAYOUTS).standings
    found = dict(zip((row.method for row in standing.rows), standing.ranks, strict=True))
    assert found == {"good": (1, 2), "alike": (1, 2), "plain": (3, 3), "bad": (4, 4)}
    assert standing.tiers[-2:] == ("plain", "bad")
    assert len(standing.tiers) == 3
    assert standing.resolution is not None
    assert standing.resolution.pairs == 6
    assert 0.02 <= standing.resolution.difference < standing.resolution.with_power < 0.4


def test_a_plan_says_the_seeds_that_a_difference_takes():
    found = needed_seeds(four_methods(), LAYOUTS)
    assert list(found) == ["toy"]
    assert found["toy"].pairs == 6
    assert found["toy"].alone is None, "forty images are too few for five points, whatever the seeds"
    assert needed_seeds([r for r in four_methods() if r.body["seed"] < 2], LAYOUTS) == {}


def test_lower_is_better_where_the_suite_says_so():
    (standing,) = board_of(four_methods(suite={"rank_by": "-worst_group_accuracy"}), LAYOUTS).standings
    found = dict(zip((row.method for row in standing.rows), standing.ranks, strict=True))
    assert (found["bad"], found["plain"]) == ((1, 1), (2, 2))
    assert standing.tiers[:2] == ("bad", "plain")


def test_ranks_are_within_a_track():
    records = [
        counted(name, seed, shares, track="train" if name == "good" else "labels-none")
        for name, shares in SHARES.items()
        for seed in range(6)
    ]
    none, train = board_of(records, LAYOUTS).standings
    assert (none.track, train.track) == ("labels-none", "train")
    assert [row.method for row in train.rows] == ["good"]
    assert train.ranks == (None,), "one row alone has no rank"
    assert none.ranks == ((1, 1), (2, 2), (3, 3))


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_rank_nothing(seeds):
    few = [r for r in four_methods() if r.body["seed"] < seeds]
    (standing,) = board_of(few, LAYOUTS).standings
    assert set(standing.ranks) == {None}
    assert standing.resolution is None
    text = details_page(few, LAYOUTS, "x")
    assert "Nothing is ranked here" in text
    assert EXAMPLES_ALONE in text.split("\n| ")[3], "the interval says that it is of the examples alone"
    assert "**+" not in text


def test_intervals_know_the_draw_of_the_test_examples():
    with_cells = {row.method: row for row in score(four_methods(), LAYOUTS)}
    seeds_alone = {row.method: row for row in score([without_counts(r) for r in four_methods()])}
    for name in SHARES:
        wide, narrow = with_cells[name].metrics["accuracy"], seeds_alone[name].metrics["accuracy"]
        assert wide is not None
        assert narrow is not None
        assert wide.mean == pytest.approx(narrow.mean)
        assert wide.half_width > narrow.half_width
        assert with_cells[name].worst_group is not None
        assert seeds_alone[name].worst_group is None


def test_without_counts_a_difference_is_scipys_paired_test():
    records = [without_counts(r) for r in four_methods(baseline="plain")]
    row = next(row for row in score(records) if row.method == "good")
    values = {
        name: [r.body["metrics"]["worst_group_accuracy"] for r in records if r.body["method"] == name]
        for name in ("good", "plain")
    }
    low, high = stats.ttest_rel(values["good"], values["plain"]).confidence_interval(0.95)
    assert row.to_baseline is not None
    assert row.to_baseline.half_width == pytest.approx((high - low) / 2)


def test_gaps_to_the_baseline_are_bold_where_they_are_told_from_zero():
    records = four_methods(baseline="alike")
    board = board_of(records, LAYOUTS)
    assert board.verdicts["toy", "plain"] == board.verdicts["toy", "bad"] == "harms"
    assert board.verdicts["toy", "good"] != "harms"
    lines = {
        line.split("|")[2].strip(): line for line in details_page(records, LAYOUTS, "x").splitlines() if "|" in line
    }
    assert "**-" in lines["plain"]
    assert "**" not in lines["good"]
    assert "(to alike)" in lines["good"]


def test_a_collapsed_row_stands_last_and_is_not_compared():
    """A coin flip on aligned examples may have a better worst group than a model that reads the shortcut."""
    flips = [counted("flip", seed, (0.5, 0.5)) for seed in range(8)]
    (standing,) = board_of([*four_methods(), *flips], LAYOUTS).standings
    assert standing.rows[-1].method == "flip"
    assert standing.rows[-1].collapsed == 8
    assert standing.ranks[-1] is None
    assert standing.resolution is not None
    assert standing.resolution.pairs == 6, "the collapsed row costs the others no resolution"
    assert "flip" not in standing.tiers
    _, *body = tables(details_page([*four_methods(), *flips], LAYOUTS, "x"))
    assert next(cells for cells in body if cells[1] == "flip")[0] == "collapsed in 8 of 8"


@pytest.mark.parametrize(("ceiling", "collapsed"), [(0.99, 6), (0.75, 0)])
def test_collapse_is_measured_against_the_ceiling(ceiling: float, collapsed: int):
    """Half of the way from chance, 0.5, to 0.99 is 0.745; to 0.75 it is 0.625."""
    top = [counted("top", seed, (ceiling, ceiling), ranked=False) for seed in range(6)]
    low = [counted("low", seed, (0.69, 0.6)) for seed in range(6)]
    row = next(row for row in score([*top, *low], LAYOUTS) if row.method == "low")
    assert row.collapsed == collapsed


def test_controls_and_ceilings_stand_in_a_table_of_their_own():
    text = details_page(four_methods(), LAYOUTS, "x")
    sections = text.split("### ")
    assert [section.split("\n")[0] for section in sections[1:]] == [
        "Labels used: labels-none",
        "Controls and ceilings, not ranked",
        *("Cost", "Groups", "Settings", "Seeds"),
    ]
    assert "_top_" in sections[2]
    assert "_top_" not in sections[1]
    assert "tiers, the largest set of rows that are pairwise resolved: " in sections[1]


def test_a_limited_run_ranks_nothing():
    text = details_page(four_methods(suite={"limit": 20}, ranked=False), LAYOUTS, "x")
    assert "### Not ranked" in text
    assert "### Labels used" not in text


def test_a_record_that_contradicts_its_own_counts_is_refused():
    records = four_methods()
    body = {**records[0].body, "metrics": {**records[0].body["metrics"], "worst_group_accuracy": 0.99}}
    with pytest.raises(UsageError, match=r"worst_group_accuracy is 0\.990000, but its own counts give"):
        score([type(records[0])(body, {}), *records[1:]], LAYOUTS)


def test_a_record_whose_layout_is_not_there_is_refused():
    with pytest.raises(UsageError, match="the layout of its test split is not among"):
        score(four_methods(), {})


def test_an_unknown_track_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="labels-none, train, val-fit, val-select"):
        record(track="cheating")


def test_without_any_counts_the_board_still_stands():
    assert "undefined" not in markdown_without_layouts([without_counts(r) for r in four_methods()])


def test_the_board_says_how_many_images_are_tested_and_that_a_search_saw_them():
    text = details_page(four_methods(), LAYOUTS, "x")
    assert f"All seeds together test {CLUSTERS} source images." in text
    assert "Settings that were searched for" not in text
    assert "Settings that were searched for" in details_page(four_methods(settings_from="iid-val"), LAYOUTS, "x")
