"""The cross-fitted worst group: chosen and scored on different seeds and clusters, so not biased by ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.statistics.estimates import over_seeds
from benchbias.statistics.influence import measure_group
from benchbias.statistics.worst_group import cross_fit, cross_fitted_worst_group, half_accuracies, halves
from support.cell_tables import drawn, table

quick = settings(max_examples=80, deadline=None, derandomize=True)
RNG = np.random.default_rng


def by_hand(accuracy):
    """accuracy[s][h][g] -> the score, written as the definition reads; None if nothing can be scored."""
    seeds, numbers = range(len(accuracy)), range(len(accuracy[0][0]))

    def whole(s, h):
        return not any(np.isnan(accuracy[s][h][g]) for g in numbers)

    scores = []
    for s in seeds:
        parts = []
        for h in (0, 1):
            others = [other for other in seeds if other != s and whole(other, 1 - h)]
            if whole(s, h) and others:
                means = [round(np.mean([accuracy[other][1 - h][g] for other in others]), 9) for g in numbers]
                parts.append(accuracy[s][h][means.index(min(means))])
        if parts:
            scores.append(np.mean(parts))
    return np.mean(scores) if scores else None


thirds = st.sampled_from([0, 1 / 3, 2 / 3, 1, 1, 1])  # many ties
holes = st.sampled_from([False] * 9 + [True])


@quick
@given(st.data(), st.integers(2, 5), st.integers(1, 4))
def test_it_is_what_its_definition_says(data, seeds, groups):
    size = seeds * 2 * groups
    accuracy = np.array(data.draw(st.lists(thirds, min_size=size, max_size=size)))
    missing = np.array(data.draw(st.lists(holes, min_size=size, max_size=size)))
    accuracy = np.where(missing, np.nan, accuracy).reshape(seeds, 2, groups)
    expected = by_hand(accuracy.tolist())
    found = float(cross_fit(accuracy))
    assert np.isnan(found) if expected is None else found == pytest.approx(expected)


@quick
@given(st.data(), st.integers(2, 6))
def test_the_order_of_seeds_changes_nothing_even_on_ties(data, seeds):
    accuracy = np.array(data.draw(st.lists(thirds, min_size=6 * seeds, max_size=6 * seeds))).reshape(seeds, 2, 3) / 1.1
    order = data.draw(st.permutations(range(seeds)))
    assert float(cross_fit(accuracy[order])) == pytest.approx(float(cross_fit(accuracy)), abs=1e-12)


def test_halves_are_by_a_hash_of_the_cluster_and_about_equal():
    found = halves(np.arange(1797))
    assert found[:12].tolist() == [1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1], "published boards depend on them"
    assert abs(found.mean() - 0.5) < 0.03
    assert np.array_equal(halves(np.arange(1797)[::-1]), found[::-1])


def test_half_accuracies_are_counted_by_half_and_group():
    cells = drawn(RNG(0), [0.9, 0.3], seeds=2, clusters=40)
    for one, found in zip(cells, half_accuracies(cells, 3), strict=True):
        assert found.shape == (2, 3)
        assert np.isnan(found[:, 2]).all()
        for half in (0, 1):
            inside = (halves(one.cluster) == half) & (one.group == 1)
            assert found[half, 1] == one.correct[inside].sum() / one.total[inside].sum()


def test_on_tied_groups_it_is_unbiased_where_the_least_accuracy_is_biased():
    """Four groups of accuracy 0.8, 40 clusters, 5 seeds; 2000 trials at once."""
    numbers = RNG(1)
    cluster = np.arange(40)
    rows = [
        table(np.repeat(cluster, 4), np.tile(np.arange(4), 40), np.ones(160, int), numbers.random((2000, 160)) < 0.8)
        for _ in range(5)
    ]
    accuracy = np.stack(half_accuracies(rows, 4))  # (S, R, 2, G)
    cross_fitted = cross_fit(accuracy)
    error = cross_fitted.std() / np.sqrt(2000)
    assert abs(cross_fitted.mean() - 0.8) < 4 * error
    assert error < 0.002
    assert accuracy.mean(axis=2).mean(axis=0).min(axis=-1).mean() < 0.8 - 0.01
    assert accuracy.mean(axis=2).min(axis=-1).mean() < 0.8 - 0.05


def test_a_group_that_is_clearly_the_worst_is_scored_in_full():
    cells = drawn(RNG(2), [0.9, 0.2, 0.9], clusters=100, copies=1)
    halved = np.stack(half_accuracies(cells, 3))[:, :, 1]
    assert cross_fitted_worst_group(cells, 3).value == pytest.approx(halved.mean())


def test_its_interval_is_the_least_of_the_groups_bounds():
    cells = drawn(RNG(3), [0.9, 0.55, 0.5, 0.8])
    found = cross_fitted_worst_group(cells, 4)
    intervals = [over_seeds([measure_group(group, one) for one in cells]) for group in range(4)]
    assert found.lower == pytest.approx(min(one.mean - one.half_width for one in intervals))
    assert found.upper == pytest.approx(min(one.mean + one.half_width for one in intervals))
    means = [
        np.mean([one.correct[one.group == g].sum() / one.total[one.group == g].sum() for one in cells])
        for g in range(4)
    ]
    assert [one.mean for one in intervals] == pytest.approx(means)
    assert all(one.standard_error > one.sd / np.sqrt(5) for one in intervals), "examples vary too"


def test_a_seed_without_a_group_is_left_out():
    cells = drawn(RNG(4), [0.9, 0.4], seeds=4)
    only_first = table(
        *(c[cells[0].group == 0] for c in (cells[0].cluster, cells[0].group, cells[0].total, cells[0].correct))
    )
    assert cross_fitted_worst_group([only_first, *cells[1:]], 2) == cross_fitted_worst_group(cells[1:], 2)


def test_it_is_undefined_for_one_seed_and_where_a_group_has_no_example():
    cells = drawn(RNG(5), [0.9, 0.4], seeds=3)
    assert cross_fitted_worst_group(cells[:1], 2) is None
    assert cross_fitted_worst_group(cells, 2) is not None
    assert cross_fitted_worst_group(cells, 3) is None
    half = halves(cells[0].cluster)
    split = [
        table(*(c[half == s] for c in (cells[s].cluster, cells[s].group, cells[s].total, cells[s].correct)))
        for s in (0, 1)
    ]
    assert cross_fitted_worst_group(split, 2) is not None, "each half chooses for the other"
    assert cross_fitted_worst_group([split[0], split[0]], 2) is None, "no other half to choose on"
