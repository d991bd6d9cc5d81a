"""A short form of benchmarks/interval_coverage.py: our interval holds the truth, the nested bootstrap does not."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from support import BENCHMARKS

REPETITIONS = 600  # a coverage of 95 % has a Monte-Carlo error of 0.9 points, one of 88 % of 1.3


@pytest.fixture(scope="module")
def simulation():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import interval_coverage
        import interval_scenarios
    finally:
        sys.path.remove(str(BENCHMARKS))
    return interval_coverage, interval_scenarios


@pytest.fixture(scope="module")
def digits(simulation):
    """Coverage by interval in the scenario like coloured digits with 5 seeds, and the biases of point estimates."""
    coverage, scenarios = simulation
    numbers = np.random.default_rng(0)
    true = scenarios.truth(scenarios.DIGITS, scenarios.DIGITS.logits, numbers)
    found = coverage.simulate(scenarios.DIGITS, coverage.simulate_rows, REPETITIONS, 200, numbers)
    held = {name: coverage.Coverage.of(*bounds, true.mean_least).held for name, bounds in found.bounds.items()}
    held["groups"] = coverage.Coverage.of(*found.bounds["groups"], true.least_mean).held
    return held, {name: values.mean() - true.least_mean for name, values in found.points.items()}


@pytest.mark.slow
def test_the_intervals_of_a_row_hold_the_truth(digits):
    held, _ = digits
    assert held["t, seeds and examples"] >= 0.92
    assert held["groups"] >= 0.92


@pytest.mark.slow
def test_a_bootstrap_that_draws_examples_for_each_seed_anew_is_too_short(digits):
    held, _ = digits
    assert held["percentile, nested"] < 0.9


@pytest.mark.slow
def test_the_cross_fitted_worst_group_is_not_biased_as_the_least_accuracy_is(digits):
    _, bias = digits
    assert abs(bias["cross-fitted"]) < 0.01
    assert bias["least mean"] < -0.015
    assert bias["mean least"] < -0.03


def test_with_little_seed_noise_an_interval_of_seeds_alone_is_too_short(simulation):
    coverage, scenarios = simulation
    scenario = replace(scenarios.DIGITS, logits=(3.5, 3.5, -0.3, 2.0), seed_spread=0.05, example_spread=4.0)
    numbers = np.random.default_rng(0)
    true = scenarios.truth(scenario, scenario.logits, numbers).mean_least
    found = coverage.simulate(scenario, coverage.simulate_rows, REPETITIONS, 20, numbers)
    held = {name: coverage.Coverage.of(*bounds, true).held for name, bounds in found.bounds.items()}
    assert 0.92 <= held["t, seeds and examples"] <= 0.98, "no ties, little seed noise: the nominal coverage"
    assert held["t, seeds only"] < 0.8


def test_the_paired_interval_rarely_tells_equal_rows_apart_and_is_shorter_than_an_unpaired_one(simulation):
    coverage, scenarios = simulation
    found = coverage.simulate(scenarios.PAIRS[0], coverage.simulate_pairs, REPETITIONS, 20, np.random.default_rng(0))
    found = {name: coverage.Coverage.of(*bounds, 0.0) for name, bounds in found.bounds.items()}
    assert found["t, seeds and examples"].rejected <= 0.06
    assert found["t, seeds and examples"].width < 0.8 * found["t, unpaired"].width


def test_the_truth_is_that_of_many_draws(simulation):
    """A huge test set and many seeds: the estimates are the truth."""
    _, scenarios = simulation
    scenario = replace(scenarios.DIGITS, examples=(4000,) * 4, seeds=400)
    (row,) = scenarios.draw(scenario, 1, np.random.default_rng(1))
    accuracy = np.array([[cells.correct[0, cells.group == g].mean() for g in range(4)] for cells in row])
    true = scenarios.truth(scenario, scenario.logits, np.random.default_rng(2))
    assert accuracy.mean(axis=0).min() == pytest.approx(true.least_mean, abs=0.02)
    assert accuracy.min(axis=1).mean() == pytest.approx(true.mean_least, abs=0.02)


def test_folds_test_every_example_once_a_repetition(simulation):
    _, scenarios = simulation
    (row,) = scenarios.draw(scenarios.FOLDS, 1, np.random.default_rng(1))
    for repetition in (row[:5], row[5:]):
        tested = np.concatenate([np.unique(cells.cluster) for cells in repetition])
        assert sorted(tested) == list(range(1800))
    assert {len(cells.cluster) for cells in row} == {720}
    assert not np.array_equal(row[0].cluster, row[5].cluster)


def test_the_page_has_every_scenario(simulation):
    _, scenarios = simulation
    page = (BENCHMARKS.parent / "docs/coverage.md").read_text()
    assert all(f"| {scenario.name} |" in page for scenario in (*scenarios.ROWS, *scenarios.PAIRS))
