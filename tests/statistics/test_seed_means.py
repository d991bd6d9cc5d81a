"""Means of many rows made together are those of each row alone, to the last bit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import chebyshev

from benchbias.statistics import behrens_fisher, seed_means
from benchbias.statistics.estimates import Estimate, _still, all_over_seeds, over_seeds, spread_over_seeds
from benchbias.statistics.influence import Measured, measure, measure_group
from support.cell_tables import drawn

quick = settings(max_examples=6, deadline=None, derandomize=True)
METRICS = ("accuracy", "worst_group_accuracy", "conflicting_accuracy")


def alone(measured):
    """The mean of one row, by the formula for arrays of any shape."""
    if not measured:
        return None
    found, seeds, bounds = spread_over_seeds(measured), len(measured), measured[0].bounds
    mean = math.fsum(float(one.value) - float(one.bias) for one in measured) / seeds
    if math.isnan(mean):
        return None
    mean, sd = min(max(mean, bounds[0]), bounds[1]), float(found.sd) if seeds > 1 else None
    half, clusters = float(found.half_width), None if found.clusters is None else float(found.clusters)
    if not half > 0:
        still = found.standard_error == 0 and not sd and (clusters is not None or seeds > 1)
        return _still(mean, sd, seeds, clusters, bounds) if still else Estimate(mean, sd, seeds, None, bounds=bounds)
    error = float(found.standard_error)
    share = min(1.0, float(found.from_seeds) / error**2)
    freedom, images = float(found.freedom), float(found.example_freedom)
    return Estimate(mean, sd, seeds, half, error, freedom, share, images, clusters, bounds)


def rows_of(numbers):
    """Rows of one to five seeds: metrics, groups, differences; on one test split or several; counted or not."""
    rows = [[], [Measured(0.5)], [Measured(0.5)] * 4, [Measured(math.nan)] * 3]
    for number in range(8):
        seeds, clusters = int(numbers.integers(1, 6)), [30, 30, 20][number % 3]
        accuracy = numbers.uniform(0, 1, 4).round(int(numbers.integers(3)))
        cells = drawn(numbers, accuracy, clusters=clusters, copies=2, seeds=2 * seeds)
        found = [measure(METRICS[number % 3], one, [True, False] * 2, 2) for one in cells]
        sides = [found[:seeds], found[seeds:]]
        rows += [*sides, [measure_group(1, one) for one in cells]]
        rows.append([one - other for one, other in zip(*sides, strict=True)])
        rows.append([Measured(float(one.value), bounds=(0.0, 1.0)) for one in sides[0]])
    for _ in range(3):  # seeds of two test splits that share some of their clusters
        split = [
            replace(one, layout=f"from {first}")
            for first in (0, 10)
            for one in drawn(numbers, [0.5, 0.7, 0.2, 0.9], clusters=20, copies=2, seeds=2, first=first)
        ]
        rows.append([measure("accuracy", one, [True, False] * 2, 2) for one in split])
    return rows


@quick
@given(st.integers(0, 10**6))
def test_rows_made_together_are_those_made_alone(seed):
    rows = rows_of(np.random.default_rng(seed))
    told = [alone(row) for row in rows]
    assert repr(all_over_seeds(rows)) == repr(told)  # floats by repr: every bit
    assert repr(all_over_seeds(rows[::-1])) == repr(told[::-1])
    assert sum(one is not None and one.half_width is not None for one in told) > 8


def test_rows_that_hold_too_much_at_once_are_made_in_parts(monkeypatch):
    rows = rows_of(np.random.default_rng(1))
    whole = all_over_seeds(rows)
    monkeypatch.setattr("benchbias.statistics.seed_means.AT_ONCE", 1)
    assert repr(all_over_seeds(rows)) == repr(whole)


def test_squares_are_those_of_single_numbers():
    values = np.random.default_rng(0).random(20_000)
    alone_ = [value**2 for value in values.tolist()]
    assert seed_means._powers(values).tolist() == alone_


def test_a_row_alone_is_one_of_many():
    row = rows_of(np.random.default_rng(2))[4]
    assert repr(over_seeds(row)) == repr(alone(row))


@pytest.mark.parametrize("share", [0.0, 1e-9, 0.2, 0.5, 0.93, 1.0, 1.0000001, math.nan])
def test_one_quantile_is_that_of_an_array_to_the_last_bit(share):
    for seeds, images in ((2.0, 40.0), (9.0, 7.5), (9.0, math.inf), (math.inf, 12.0)):
        if seeds == math.inf and share > 0:
            continue  # below three seeds the examples speak alone
        whole = float(behrens_fisher.quantile(share, seeds, images, 0.975))
        assert repr(behrens_fisher.one_quantile(share, seeds, images, 0.975)) == repr(whole)
    assert math.isnan(behrens_fisher.one_quantile(0.5, 4.0, math.nan, 0.975))


def test_one_quantile_sums_its_polynomial_as_numpy_does():
    curve = behrens_fisher._curve(4.0, 33.0, 0.9)
    for share in (0.01, 0.3, 0.77):
        told = float(np.exp(chebyshev.chebval(4 * np.arcsin(np.sqrt(share)) / np.pi - 1, curve)))
        assert behrens_fisher.one_quantile(share, 4.0, 33.0, 0.9) == told


def test_a_quantile_of_one_side_alone_needs_no_curve():
    before, told = behrens_fisher._curve.cache_info().misses, pytest.approx(2.1098, abs=1e-4)
    assert behrens_fisher.one_quantile(0.0, math.inf, 17.0, 0.975) == told
    assert float(behrens_fisher.quantile(0.0, math.inf, 17.0, 0.975)) == told
    assert behrens_fisher._curve.cache_info().misses == before
