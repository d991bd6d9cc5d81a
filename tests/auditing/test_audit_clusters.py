"""Bounds over clusters are those of weighted draws, and of `bounds` where every example is a cluster of its own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.auditing.statistics.bounds import beyond_p, harm_bounds, no_harm_p, safe_p
from benchbias.auditing.statistics.clusters import ClusteredHarm, clustered_harm
from benchbias.auditing.statistics.signs import sign_p

quick = settings(max_examples=40, deadline=None, derandomize=True)


def group(numbers, clusters, most, rate=0.1, tilt=0.6):
    """harm and size of clusters of 1 to `most` examples, of which a share flips."""
    size = numbers.integers(1, most + 1, clusters)
    flips = numbers.binomial(size, rate)
    return 2 * numbers.binomial(flips, tilt) - flips, size


def drawn(harm, size, worst, draws=40_000, seed=0):
    """The weighted harm with the pseudo-cluster, one exponential weight for every cluster: the definition itself."""
    weight = np.random.default_rng(seed).standard_exponential((draws, len(size) + 1))
    extra = np.square(size).sum() / size.sum()
    return weight @ np.append(harm, worst * extra) / (weight @ np.append(size, extra))


def enumerated(harm):
    """The share of all sign changes that give at least the observed sum."""
    changed = harm[harm != 0]
    if changed.sum() <= 0:
        return 1.0
    signs = np.array(list(itertools.product((-1, 1), repeat=len(changed))))
    return float((signs @ abs(changed) >= changed.sum()).mean())


@pytest.mark.parametrize(("b", "c", "n"), [(0, 0, 21), (18, 0, 21), (3, 1, 40), (30, 10, 5000), (0, 5, 100), (1, 0, 1)])
def test_clusters_of_one_example_give_the_exact_numbers(b, c, n):
    harm = np.repeat([1, -1, 0], [b, c, n - b - c])
    found = clustered_harm(harm, np.ones(n), 0.03, flips=b + c)
    lower, upper = harm_bounds(b, c, n)
    assert (found.lower, found.upper) == (pytest.approx(lower, abs=1e-10), pytest.approx(upper, abs=1e-10))
    assert found.p == no_harm_p(b, c)
    assert found.least == 0.5 ** (b + c)
    assert found.p_safe == pytest.approx(safe_p(b, c, n, 0.03), rel=1e-8)
    assert found.p_beyond == pytest.approx(beyond_p(b, c, n, 0.03), rel=1e-8)
    assert found.design == 1


@pytest.mark.parametrize(("clusters", "most"), [(3, 4), (30, 10), (300, 5), (60, 60)])
def test_numbers_are_those_of_weighted_draws(clusters, most):
    harm, size = group(np.random.default_rng(clusters), clusters, most)
    found = clustered_harm(harm, size, 0.05)
    high, low = drawn(harm, size, 1.0), drawn(harm, size, -1.0)
    for chance, expected in (((high >= found.upper).mean(), 0.05), ((low <= found.lower).mean(), 0.05)):
        assert chance == pytest.approx(expected, abs=0.0055)  # five standard errors
    assert found.p_safe == pytest.approx((high >= 0.05).mean(), abs=0.0125)
    assert found.p_beyond == pytest.approx((low <= 0.05).mean(), abs=0.0125)


@quick
@given(st.lists(st.integers(-9, 9), max_size=11), st.integers(1, 4))
def test_the_sign_test_is_its_enumeration(harm, times):
    """Also where all sums are multiples of a number."""
    sums = times * np.array(harm, dtype=np.int64)
    kinds, number = np.unique(sums, return_counts=True)
    p, least = sign_p(kinds.astype(float), number.astype(float))
    assert p == pytest.approx(enumerated(sums), rel=1e-9)
    assert least == 0.5 ** (sums != 0).sum()


def test_the_sign_test_of_many_large_sums_is_that_of_drawn_signs_and_far_tails_are_exact():
    numbers = np.random.default_rng(0)
    harm = numbers.integers(-400, 408, 3000).astype(float)
    signs = np.sign(numbers.random((4000, 3000)) - 0.5) @ abs(harm)
    expected = (signs >= harm.sum()).mean()
    assert sign_p(harm, np.ones(3000))[0] == pytest.approx(expected, abs=5 * np.sqrt(expected / 4000))
    p, least = sign_p(np.array([1.0, 2.0, 3.0]), np.array([40.0, 40.0, 40.0]))
    assert p == least == 0.5**120
    assert sign_p(np.array([1.0, 2.0, -1.0]), np.array([40.0, 60.0, 1.0]))[0] == pytest.approx(42 * 0.5**101, rel=1e-9)


@quick
@given(st.integers(0, 10_000))
def test_the_order_of_clusters_changes_no_bit(seed):
    numbers = np.random.default_rng(seed)
    harm, size = group(numbers, 40, 6)
    mixed = numbers.permutation(40)
    assert clustered_harm(harm, size, 0.03, flips=60) == clustered_harm(harm[mixed], size[mixed], 0.03, flips=60)


@quick
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 20))
def test_bounds_hold_the_harm_and_agree_with_their_chances(seed, clusters, most):
    harm, size = group(np.random.default_rng(seed), clusters, most)
    found = clustered_harm(harm, size, 0.1)
    assert -1 <= found.lower <= harm.sum() / size.sum() <= found.upper <= 1
    assert (found.p_safe <= 0.05) == (found.upper <= 0.1)
    assert (found.p_beyond <= 0.05) == (found.lower >= 0.1)
    assert found.least <= found.p <= 1
    assert found.design >= 1
    mirrored = clustered_harm(-harm, size, 0.1)
    assert (mirrored.lower, mirrored.upper) == (pytest.approx(-found.upper), pytest.approx(-found.lower))


def test_copies_widen_the_bounds_and_whole_copies_have_their_number_as_design_effect():
    single = clustered_harm(np.repeat([1, -1, 0], [10, 5, 485]), np.ones(500), 0.03, flips=15)
    copied = clustered_harm(4 * np.repeat([1, -1, 0], [10, 5, 485]), np.full(500, 4), 0.03, flips=60)
    assert copied.design == pytest.approx(4, rel=1e-9)
    for name in ("lower", "upper", "p", "p_safe", "p_beyond"):
        assert getattr(copied, name) == pytest.approx(getattr(single, name), rel=1e-9), name
    naive = harm_bounds(40, 20, 2000)
    assert copied.lower < naive[0] < naive[1] < copied.upper


def test_without_flips_the_design_effect_is_the_size_of_the_cluster_that_an_example_is_in():
    size = np.array([1, 1, 2, 8])
    assert clustered_harm(np.zeros(4), size, 0.03).design == pytest.approx(np.square(size).sum() / size.sum())


def test_a_group_without_clusters_decides_nothing():
    assert clustered_harm([], [], 0.03) == ClusteredHarm(-1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(("harm", "size"), [([2], [1]), ([0], [0]), ([0, 0], [1])])
def test_impossible_clusters_are_refused(harm, size):
    with pytest.raises(ValueError, match="every cluster needs"):
        clustered_harm(harm, size, 0.03)


def test_no_chance_is_zero():
    found = clustered_harm(np.full(3000, 2), np.full(3000, 2), 0.03)
    assert 0 < found.p < 1e-300
    assert 0 < found.p_beyond < 1e-300
    assert 0 < clustered_harm(np.zeros(90_000), np.full(90_000, 2), 0.5).p_safe < 1e-300
