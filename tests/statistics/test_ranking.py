"""Ranks: Holm's adjustment is a closed test, tiers are a largest clique, resolution is its first step."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbias.statistics.estimates import Estimate, estimate, p_value
from benchbias.statistics.family import Gaps
from benchbias.statistics.ranking import holm, ranks, resolution, resolved_pairs, tiers

quick = settings(max_examples=100, deadline=None, derandomize=True)


def gap(mean, error, freedom=9.0):
    return Estimate(mean, None, 10, float(stats.t.ppf(0.975, freedom)) * error, error, freedom)


# --- Holm


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.4]) == [0.4]
    assert holm([]) == []


@quick
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.5]), min_size=1, max_size=6))
def test_holm_is_closed_testing_with_bonferroni(values):
    """A hypothesis falls when every set of hypotheses with it falls; a set falls by its least p times its size."""
    everything = range(len(values))
    sets = [s for size in range(1, len(values) + 1) for s in itertools.combinations(everything, size)]
    for at, adjusted in enumerate(holm(values)):
        closed = max(min(1, len(s) * min(values[i] for i in s)) for s in sets if at in s)
        assert adjusted == pytest.approx(closed)


# --- resolved pairs and ranks


def test_the_higher_row_of_a_resolved_pair_is_the_better():
    assert resolved_pairs(Gaps.of({(0, 1): gap(0.1, 0.01), (0, 2): gap(-0.1, 0.01), (1, 2): gap(0.1, 0.2)})) == {
        (0, 1),
        (2, 0),
    }


def test_what_one_pair_resolves_many_may_not():
    alone = gap(0.1, 0.04)  # p = 0.034
    assert 0.02 < p_value(alone) < 0.05
    assert resolved_pairs(Gaps.of({(0, 1): alone})) == {(0, 1)}
    assert resolved_pairs(Gaps.of({(0, 1): alone, (0, 2): gap(0.0, 0.04)})) == set()
    assert resolved_pairs(Gaps.of({(0, 1): alone, (0, 2): gap(0.5, 0.04)})) == {(0, 1), (0, 2)}, "Holm, not Bonferroni"


def test_a_pair_without_an_interval_is_not_resolved_and_counts():
    alone = gap(0.1, 0.04)
    for unknown in (None, estimate([0.9])):
        assert resolved_pairs(Gaps.of({(0, 1): alone, (0, 2): unknown})) == set()


def test_a_rank_counts_the_better_rows():
    assert ranks(4, {(0, 1), (0, 2), (0, 3), (1, 3)}) == [(1, 1), (2, 3), (2, 4), (3, 4)]
    assert ranks(3, set()) == [(1, 3), (1, 3), (1, 3)]
    assert ranks(3, {(2, 0), (2, 1), (1, 0)}) == [(3, 3), (2, 2), (1, 1)]


# --- tiers


def by_force(scores, resolved):
    """All sets of rows, the largest first, then by their scores from the top."""
    apart = resolved | {(b, a) for a, b in resolved}
    cliques = [
        sorted(chosen, key=lambda row: (-scores[row], row))
        for size in range(len(scores) + 1)
        for chosen in itertools.combinations(range(len(scores)), size)
        if all(pair in apart for pair in itertools.combinations(chosen, 2))
    ]
    return min(cliques, key=lambda clique: (-len(clique), [(-scores[row], row) for row in clique]))


@quick
@given(st.integers(1, 9), st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 0.8]))
def test_tiers_are_a_largest_set_that_is_resolved_pairwise(rows, seed, share):
    numbers = random.Random(seed)
    scores = [numbers.choice([0.1, 0.5, 0.9, numbers.random()]) for _ in range(rows)]
    resolved = {pair for pair in itertools.combinations(range(rows), 2) if numbers.random() < share}
    assert tiers(scores, resolved) == by_force(scores, resolved)


def test_tiers_of_rows_that_are_not_told_apart():
    assert tiers([0.1, 0.9, 0.5], set()) == [1]
    assert tiers([], set()) == []


def test_tiers_of_sixty_rows_in_groups_of_three_take_no_time():
    """The graph with the most largest cliques, 3^20 of them: an enumeration would not end."""
    rows = range(60)
    resolved = {(a, b) for a, b in itertools.combinations(rows, 2) if a // 3 != b // 3}
    assert tiers([-row for row in rows], resolved) == list(range(0, 60, 3))


def test_tiers_of_a_ladder_where_only_neighbours_are_tied():
    rows = range(40)
    resolved = {(a, b) for a, b in itertools.combinations(rows, 2) if b - a > 4}
    assert tiers([-row for row in rows], resolved) == list(range(0, 40, 5))


# --- resolution


def test_the_resolution_is_holms_first_step_at_the_median_pair():
    differences = {(0, 1): gap(0.3, 0.01), (0, 2): gap(0.1, 0.03), (1, 2): gap(0.0, 0.05)}
    found = resolution(Gaps.of(differences))
    critical = stats.t.ppf(1 - 0.05 / 6, 9) * 0.03
    assert found.pairs == 3
    assert found.difference == pytest.approx(critical)
    assert found.with_power == pytest.approx(critical + stats.t.ppf(0.8, 9) * 0.03)


def test_a_difference_just_above_the_resolution_is_resolved_and_one_just_below_is_not():
    others = {(0, row): gap(0.0, 0.03) for row in range(2, 6)}
    limit = resolution(Gaps.of({(0, 1): gap(0.1, 0.03)} | others)).difference
    assert resolved_pairs(Gaps.of({(0, 1): gap(1.001 * limit, 0.03)} | others)) == {(0, 1)}
    assert resolved_pairs(Gaps.of({(0, 1): gap(0.999 * limit, 0.03)} | others)) == set()


def test_no_resolution_is_known_without_intervals_over_seeds():
    assert resolution(Gaps.of({(0, 1): estimate([0.5])})) is None
    assert resolution(Gaps.of({})) is None
    assert resolution(Gaps.of({(0, 1): None, (0, 2): gap(0.1, 0.01)})).difference == pytest.approx(
        stats.t.ppf(1 - 0.05 / 4, 9) * 0.01
    ), "a pair without an interval counts in the adjustment"
