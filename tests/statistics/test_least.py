"""The bias of a least: none where one part is clearly the lowest, all of it where all are tied."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc

from benchbias.statistics.influence import measure
from benchbias.statistics.least import STEPS, _expected_least, bias_of_least
from support.cell_tables import table

quick = settings(max_examples=60, deadline=None, derandomize=True)
RNG = np.random.default_rng


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(2, 500))
def test_a_least_is_never_too_high(accuracies, number):
    found = float(bias_of_least(np.array(accuracies), np.full(len(accuracies), float(number))))
    assert -1 <= found <= 0


def test_one_part_alone_has_no_bias_and_nothing_hides_an_undefined_one():
    assert bias_of_least(np.array([0.3]), np.array([10.0])) == 0
    assert np.isnan(bias_of_least(np.array([np.nan]), np.array([10.0])))


def test_a_part_that_is_clearly_the_lowest_has_next_to_none():
    assert abs(float(bias_of_least(np.array([0.2, 0.8, 0.9, 0.95]), np.full(4, 100.0)))) < 1e-3


@pytest.mark.parametrize(("parts", "number", "true"), [(2, 180, 0.7), (4, 20, 0.7), (25, 100, 0.8), (4, 180, 0.98)])
def test_taken_off_it_leaves_less_than_a_third_of_the_bias_of_tied_parts(parts, number, true):
    counted = RNG(parts).binomial(number, true, (1200, parts)) / number
    corrected = counted.min(axis=1) - bias_of_least(counted, np.full(parts, float(number)))
    before, after = counted.min(axis=1).mean() - true, corrected.mean() - true
    assert before < -0.01 or true > 0.9
    assert abs(after) < abs(before) / 3


def test_copies_of_one_cluster_are_not_counted_as_independent_examples():
    """Sixteen equal copies of each of 50 examples say what 50 say; different ones say more."""
    right = RNG(3).random(100) < 0.7
    cluster, group = np.arange(100), np.repeat([0, 1], 50)
    alone = measure("worst_group_accuracy", table(cluster, group, np.ones(100, int), right), (True, False))
    equal = measure("worst_group_accuracy", table(cluster, group, np.full(100, 16), 16 * right), (True, False))
    assert float(equal.bias) == pytest.approx(float(alone.bias))
    mixed = RNG(4).binomial(16, 0.7, 100)
    varied = measure("worst_group_accuracy", table(cluster, group, np.full(100, 16), mixed), (True, False))
    assert abs(float(varied.bias)) < abs(float(alone.bias)) / 2


def test_bias_follows_differences_and_multiples():
    cells = table(np.arange(40), np.repeat([0, 1], 20), np.ones(40, int), RNG(5).random(40) < 0.6)
    one = measure("worst_group_accuracy", cells, (True, False))
    assert float((2.0 * one - one).bias) == pytest.approx(float(one.bias))
    assert float((one - one).bias) == 0
    assert (one - one).bounds == (-1, 1)
    assert (-2 * one).bounds == (-2, 0)


@quick
@given(st.integers(0, 10**6), st.sampled_from([2, 4, 25]), st.sampled_from([3.0, 80.0, 3000.0, 1e6]))
def test_probabilities_that_are_not_computed_change_no_bit(seed, parts, most):
    numbers = RNG(seed)
    true = np.clip(numbers.random((5, parts)).round(int(numbers.integers(1, 9))), 1e-9, 1 - 1e-9)
    number = numbers.uniform(2, most, (5, parts)).round(int(numbers.integers(2)))
    size, steps = np.maximum(number - 1, 1e-9), (np.arange(STEPS)[:, None] + 0.5) / STEPS
    above = 1 - betainc((true * size)[:, None], ((1 - true) * size)[:, None], steps)
    assert (_expected_least(true, number) == above.prod(axis=-1).mean(axis=-1)).all()


def test_most_probabilities_of_large_counts_are_not_computed(monkeypatch):
    counted = []
    monkeypatch.setattr("scipy.special.betainc", lambda a, b, x: counted.append(len(a)) or betainc(a, b, x))
    bias_of_least(np.array([[0.5, 0.6, 0.9, 0.95]]), np.full(4, 2000.0))
    assert sum(counted) < 4 * STEPS / 4
