"""The least over groups of the mean over seeds: unbiased under ties, never outside of its own interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.statistics import worst_group
from benchbias.statistics.estimates import over_seeds
from benchbias.statistics.influence import first_lowest, measure_group
from benchbias.statistics.least import bias_of_least
from benchbias.statistics.worst_group import group_accuracies, least_mean
from support.cell_tables import drawn, table

quick = settings(max_examples=60, deadline=None, derandomize=True)
RNG = np.random.default_rng


def group_means(cells, groups):
    return [over_seeds([measure_group(group, one) for one in cells if (one.group == group).any()]) for group in groups]


def test_a_group_that_is_clearly_the_worst_is_scored_in_full():
    cells = drawn(RNG(2), [0.9, 0.2, 0.9], clusters=100, copies=1)
    worst = group_means(cells, [1])[0]
    found = least_mean(cells, 3)
    assert found.mean == pytest.approx(worst.mean, abs=1e-3)
    assert found.half_width == worst.half_width


@pytest.mark.parametrize("groups", [2, 4, 12])
def test_on_tied_groups_it_is_unbiased_where_the_least_mean_is_biased(groups):
    """All groups at 0.8 on 40 examples each, five seeds that differ by chance alone."""
    numbers, corrected, plain = RNG(groups), [], []
    cluster, group = np.arange(40 * groups), np.repeat(np.arange(groups), 40)
    for _ in range(80):
        hard = numbers.random(40 * groups) < 0.8  # for all seeds
        rows = [
            table(cluster, group, np.ones(40 * groups, int), np.where(numbers.random(40 * groups) < 0.2, True, hard))
            for _ in range(5)
        ]
        corrected.append(least_mean(rows, groups).mean)
        plain.append(min(one.mean for one in group_means(rows, range(groups))))
    true = 0.8 + 0.2 * 0.2
    error = np.std(corrected) / np.sqrt(80)
    assert abs(np.mean(corrected) - true) < max(4 * error, 0.35 * (true - np.mean(plain)))
    assert np.mean(plain) < true - 4 * error


@quick
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 5))
def test_it_lies_inside_of_its_interval_and_between_the_least_and_the_greatest_mean(seed, seeds, groups):
    cells = drawn(RNG(seed), RNG(seed).uniform(0, 1, groups), seeds=seeds, clusters=12)
    found, means = least_mean(cells, groups), [one.mean for one in group_means(cells, range(groups))]
    assert min(means) - 1e-12 <= found.mean <= max(means) + 1e-12 or found.mean <= 1
    if found.half_width is not None:
        low, high = found.interval()
        assert 0 <= low <= found.mean <= high <= 1


@quick
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_accuracies_of_all_groups_are_those_of_each(seed, groups):
    cells = drawn(RNG(seed), RNG(seed).uniform(0, 1, groups), seeds=1, clusters=15)[0]
    found = group_accuracies(cells, groups + 1)
    assert found[-1] is None
    for group, one in enumerate(found[:-1]):
        alone = measure_group(group, cells)
        assert (one.value, one.bias, one.bounds) == (pytest.approx(float(alone.value)), 0, alone.bounds)
        assert one.influence.value == pytest.approx(alone.influence.value, abs=1e-12)
        assert one.influence.clusters == pytest.approx(float(alone.influence.clusters))
        assert one.influence.cluster.tolist() == alone.influence.cluster.tolist()


def test_a_seed_without_a_group_is_left_out_of_that_groups_mean():
    cells = drawn(RNG(4), [0.9, 0.4], seeds=4)
    columns = (cells[0].cluster, cells[0].group, cells[0].total, cells[0].correct)
    only_first = replace(table(*(column[cells[0].group == 0] for column in columns)), layout="of one group")
    found, rest = least_mean([only_first, *cells[1:]], 2), least_mean(cells[1:], 2)
    assert (found.n, found.mean) == (3, pytest.approx(rest.mean, abs=1e-3))


def test_it_is_undefined_where_a_group_has_no_example():
    cells = drawn(RNG(5), [0.9, 0.4], seeds=3)
    assert least_mean(cells, 2) is not None
    assert least_mean(cells, 3) is None
    assert not least_mean(cells[:1], 2).over_seeds


def least_alone(cells, groups):
    """The groups of one row, and the least of them, seed by seed and group by group."""
    by_seed = [group_accuracies(one, groups) for one in cells]
    measured = [[one for one in group if one is not None] for group in zip(*by_seed, strict=True)]
    means = [over_seeds(values) for values in measured]
    whole = tuple(one if len(values) == len(cells) else None for one, values in zip(means, measured, strict=True))
    known = [one for one in means if one is not None]
    if len(known) < groups:
        return whole, None
    values = np.array([[np.nan if one is None else float(one.value) for one in seed] for seed in by_seed])
    accuracy = np.array([one.mean for one in known])
    lowest = known[int(first_lowest(accuracy))]
    bias = bias_of_least(accuracy, worst_group._independent(values, known))
    return whole, replace(lowest, mean=min(1.0, lowest.mean - float(bias)))


def test_many_rows_have_the_groups_that_each_has_alone():
    """On one test split and on several; with a group that one test split lacks, and one that no seed tests."""
    numbers = RNG(8)
    drawn_at_once = drawn(numbers, [0.4, 0.5, 0.9], clusters=20, copies=2, seeds=15)
    whole = [drawn_at_once[start : start + 3] for start in range(0, 15, 3)]
    split = [replace(one, layout="other") for one in whole[0]]
    few = [table(one.cluster[2::3], one.group[2::3] % 2, one.total[2::3], one.correct[2::3]) for one in whole[1][:2]]
    few = [replace(one, layout="few") for one in few]
    rows = [*whole, [whole[2][0], split[1], whole[3][0]], [*whole[4][:1], *few], few]
    found = worst_group.group_means(rows, 3)
    assert repr([(one.groups, one.least) for one in found]) == repr([least_alone(row, 3) for row in rows])
    assert found[-1].least is None
    assert found[-1].groups[2] is None
    assert found[-2].groups[2] is None
    assert found[-2].least is not None
