"""Ranks, tiers, collapse and resolution on a board: from records with counts, and against scipy where it applies."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from scipy import stats
from test_leaderboard import board as markdown_without_layouts
from test_leaderboard import tables
from test_scores import record

from benchbias.board.render import render
from benchbias.board.rows import score
from benchbias.board.standings import board_of
from benchbias.errors import UsageError
from benchbias.statistics.cells import read_layout

CLUSTERS = 40
LAYOUT = read_layout(
    {
        "cluster": [c for c in range(CLUSTERS) for _ in range(2)],
        "group": [2 * (c % 2) + a for c in range(CLUSTERS) for a in range(2)],
        "total": [4] * (2 * CLUSTERS),
    }
)
LAYOUTS = {LAYOUT.digest: LAYOUT}


def counted(method: str, seed: int, shares: tuple[float, float], **body: object):
    """A record whose aligned and conflicting cells are right in these shares, with noise of the seed's own."""
    rng = np.random.default_rng([seed, len(method), *(ord(letter) for letter in method)])
    difficulty = np.random.default_rng(7).normal(0, 0.5, CLUSTERS)  # of an example, the same for all
    aligned = np.array([True, False, False, True])
    logit = np.log(np.array(shares) / (1 - np.array(shares)))
    by_cell = logit[np.where(aligned[LAYOUT.group], 0, 1)] + difficulty[LAYOUT.cluster] + rng.normal(0, 0.15)
    correct = rng.binomial(4, 1 / (1 + np.exp(-by_cell)))
    group_total = np.bincount(LAYOUT.group, LAYOUT.total, 4)
    group_correct = np.bincount(LAYOUT.group, correct, 4)
    plane = ((correct[:, None] >> np.arange(3)) & 1).astype(np.uint8)
    counts = base64.b64encode(np.packbits(plane).tobytes()).decode()
    metrics = {
        "worst_group_accuracy": float((group_correct / group_total).min()),
        "accuracy": float(correct.sum() / LAYOUT.total.sum()),
    }
    extra = {
        "correct": {"cells": len(correct), "bits": 3, "counts": counts, "layout": LAYOUT.digest},
        "group_names": ["0/a", "0/b", "1/a", "1/b"],
        "group_aligned": aligned.tolist(),
        "group_correct": group_correct.astype(int).tolist(),
        "group_total": group_total.astype(int).tolist(),
        "num_classes": 2,
    }
    suite = {"reference": "plain", "ceiling": "top", **body.pop("suite", {})}  # type: ignore[dict-item]
    return record(method, seed, metrics=metrics, suite=suite, **(extra | body))


SHARES = {"good": (0.9, 0.8), "alike": (0.9, 0.79), "plain": (0.9, 0.5), "bad": (0.9, 0.2)}


def four_methods(seeds: int = 8, **body: object):
    made = [counted(name, seed, shares, **body) for name, shares in SHARES.items() for seed in range(seeds)]
    top = [counted("top", seed, (0.97, 0.96), **{"ranked": False, **body}) for seed in range(seeds)]
    return [*made, *top]


def test_rows_that_are_told_apart_have_different_ranks_and_others_share_one():
    (standing,) = board_of(four_methods(), LAYOUTS).standings
    found = dict(zip((row.method for row in standing.rows), standing.ranks, strict=True))
    assert found == {"good": (1, 2), "alike": (1, 2), "plain": (3, 3), "bad": (4, 4)}
    assert standing.tiers[-2:] == ("plain", "bad")
    assert len(standing.tiers) == 3
    assert standing.resolution is not None
    assert standing.resolution.pairs == 6
    assert 0.02 <= standing.resolution.difference < standing.resolution.with_power < 0.3


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
    assert train.ranks == ((1, 1),)
    assert none.ranks == ((1, 1), (2, 2), (3, 3))


def test_one_seed_ranks_nothing():
    (standing,) = board_of([r for r in four_methods() if r.body["seed"] == 0], LAYOUTS).standings
    assert set(standing.ranks) == {(1, 4)}
    assert standing.resolution is None
    assert "Nothing is ranked here" in render([r for r in four_methods() if r.body["seed"] == 0], LAYOUTS, "x")


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


def without_counts(one):
    body = {name: value for name, value in one.body.items() if name != "correct"}
    return type(one)(body, {})


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
    assert {label for _, label in board.resolved_to_baseline} >= {"plain", "bad"}
    assert ("toy", "good") not in board.resolved_to_baseline
    lines = {line.split("|")[2].strip(): line for line in render(records, LAYOUTS, "x").splitlines() if "|" in line}
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
    _, *body = tables(render([*four_methods(), *flips], LAYOUTS, "x"))
    assert next(cells for cells in body if cells[1] == "flip")[0] == "collapsed in 8 of 8"


@pytest.mark.parametrize(("ceiling", "collapsed"), [(0.99, 6), (0.75, 0)])
def test_collapse_is_measured_against_the_ceiling(ceiling: float, collapsed: int):
    """Half of the way from chance, 0.5, to 0.99 is 0.745; to 0.75 it is 0.625."""
    top = [counted("top", seed, (ceiling, ceiling), ranked=False) for seed in range(6)]
    low = [counted("low", seed, (0.69, 0.6)) for seed in range(6)]
    row = next(row for row in score([*top, *low], LAYOUTS) if row.method == "low")
    assert row.collapsed == collapsed


def test_controls_and_ceilings_stand_in_a_table_of_their_own():
    text = render(four_methods(), LAYOUTS, "x")
    sections = text.split("### ")
    assert [section.split("\n")[0] for section in sections[1:]] == [
        "Labels used: labels-none",
        "Controls and ceilings, not ranked",
        "Cost",
    ]
    assert "_top_" in sections[2]
    assert "_top_" not in sections[1]
    assert "tiers, the largest set of rows that are pairwise told apart: " in sections[1]


def test_a_limited_run_ranks_nothing():
    text = render(four_methods(suite={"limit": 20}, ranked=False), LAYOUTS, "x")
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
    text = render(four_methods(), LAYOUTS, "x")
    assert f"All seeds together test {CLUSTERS} source images." in text
    assert "Settings that were searched for" not in text
    assert "Settings that were searched for" in render(four_methods(settings_from="iid-val"), LAYOUTS, "x")
