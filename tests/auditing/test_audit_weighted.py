"""The integral of `weighted` is right where closed forms are known, for any shapes, sizes and ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from benchbias.auditing.statistics.weighted import Outcomes, quantile, tails


def test_two_outcomes_are_a_beta_variable_in_both_tails():
    a, m = (one.ravel() for one in np.meshgrid([0.5, 1, 2, 3, 7, 40, 1000, 3e5], [1, 3, 12, 100, 2500, 1e6]))
    outcomes = Outcomes.of(np.stack([a, m], axis=-1), (1.0, 0.0), 1.0)
    for level in (0.4, 0.05, 1e-4, 1e-12, 1e-40):
        at = special.betainccinv(a, m, level)
        usable = at < 1 - 1e-6
        above = tails(outcomes, at).above
        np.testing.assert_allclose(above[usable], special.betaincc(a, m, at)[usable], rtol=1e-7)
        at = special.betaincinv(a, m, level)
        usable = at > 1e-300
        found = tails(outcomes, at)
        np.testing.assert_allclose(found.below[usable], special.betainc(a, m, at)[usable], rtol=1e-7)
        np.testing.assert_allclose(found.above + found.below, 1, rtol=1e-12)


def test_the_density_is_that_of_a_beta_variable():
    a, m = np.array([1.0, 3, 40, 1000]), np.array([12.0, 100, 7, 1e5])
    at = special.betaincinv(a, m, 0.7)
    found = tails(Outcomes.of(np.stack([a, m], axis=-1), (1.0, 0.0), 1.0), at)
    np.testing.assert_allclose(found.density, stats.beta.pdf(at, a, m), rtol=1e-7)


def test_quantiles_meet_their_level_for_random_sizes_and_harms():
    numbers = np.random.default_rng(0)
    for kinds in (2, 3, 8, 60):
        size = numbers.integers(1, 30, (40, kinds)).astype(float)
        harm = numbers.integers(-size.astype(int), size.astype(int) + 1).astype(float)
        outcomes = Outcomes.of(numbers.integers(0, 4, (40, kinds)) + (np.arange(kinds) == 0), harm, size)
        for level in (0.5, 0.05, 1e-6):
            value = quantile(outcomes, level)
            ratio = np.where(outcomes.number > 0, harm / size, np.nan)
            spread = np.nanmax(ratio, axis=1) > np.nanmin(ratio, axis=1)
            np.testing.assert_allclose(tails(outcomes, value).above[spread], level, rtol=1e-6)
            np.testing.assert_allclose(value[~spread], np.nanmax(ratio, axis=1)[~spread])


def test_a_mean_without_spread_is_its_own_quantile_and_both_its_tails_hold_it():
    outcomes = Outcomes.of([[3.0, 0.0, 2.0]], [[2.0, 9.0, 1.0]], [[4.0, 1.0, 2.0]])
    assert quantile(outcomes, 0.05) == 0.5
    for at, above, below in ((0.4, 1, 0), (0.5, 1, 1), (0.6, 0, 1)):
        found = tails(outcomes, at)
        assert (found.above, found.below) == (above, below)


def test_groups_are_independent_of_those_beside_them():
    numbers = np.random.default_rng(1)
    number = numbers.integers(0, 60, (500, 3)) + np.array([1, 0, 1])
    outcomes = Outcomes.of(number, (1.0, 0.0, -1.0), 1.0)
    at = numbers.uniform(-0.9, 0.9, 500)
    together = tails(outcomes, at)
    for row in range(0, 500, 50):
        alone = tails(outcomes.take(np.array([row])), at[row])
        assert alone.above == pytest.approx(together.above[row], rel=1e-13)
        assert alone.below == pytest.approx(together.below[row], rel=1e-13)
