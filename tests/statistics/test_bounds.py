"""Score bounds are Wilson's, and a difference never has less variance than few examples leave."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchbias.statistics.bounds import least_variance, score_interval

quick = settings(max_examples=100, deadline=None, derandomize=True)


@quick
@given(st.integers(0, 60), st.integers(1, 60))
def test_of_independent_examples_it_is_scipys_wilson_interval(right, number):
    right = min(right, number)
    share = right / number
    error = math.sqrt(share * (1 - share) / number)
    expected = stats.binomtest(right, number).proportion_ci(0.95, method="wilson")
    found = score_interval(share, error, float(stats.norm.ppf(0.975)), number, number)
    assert found == (pytest.approx(expected.low, abs=1e-9), pytest.approx(expected.high, abs=1e-9))


def test_no_error_seen_leaves_room_by_the_number_of_examples():
    for clusters in (21, 200):
        low, high = score_interval(1.0, 0.0, 1.96, clusters, 10 * clusters)
        assert (low, high) == (pytest.approx(clusters / (clusters + 1.96**2)), 1.0)


def test_an_error_that_few_seeds_saw_small_does_not_stand_for_more_examples_than_there_are():
    narrow = score_interval(0.5, 1e-6, 1.96, 20, 100)
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(100), rel=0.05)


def test_the_least_variance_is_bonetts_and_prices():
    assert least_variance((-1.0, 1.0), 20) == pytest.approx(2 / 22**2)
    assert least_variance((-100.0, 100.0), 20) == pytest.approx(1e4 * 2 / 22**2)
    assert least_variance((0.0, 1.0), 20) == 0
    assert least_variance((-math.inf, math.inf), 20) == 0
