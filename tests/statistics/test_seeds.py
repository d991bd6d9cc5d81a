"""The seeds that a plan asks for find a planted difference as often as they promise."""

from __future__ import annotations

import numpy as np
import pytest

from benchbias.statistics.estimates import LEVEL, Estimate, estimate, p_value
from benchbias.statistics.family import Gaps
from benchbias.statistics.seeds import seeds_needed

RNG = np.random.default_rng


def family(estimates):
    return [Gaps.of({(0, at): one for at, one in enumerate(estimates, 1)})]


def gaps(sd, number, seeds=10):
    numbers = RNG(0)
    return family([estimate(list(numbers.normal(0, sd, seeds))) for _ in range(number)])


@pytest.mark.parametrize("sd", [0.02, 0.04, 0.08])
def test_a_difference_of_five_points_is_found_in_four_of_five_runs(sd):
    found = seeds_needed(gaps(sd, 60, seeds=40))
    numbers = RNG(1)
    told = [p_value(estimate(list(numbers.normal(0.05, sd, found.alone)))) <= 1 - LEVEL for _ in range(1500)]
    assert 0.76 < np.mean(told) < 0.93
    assert found.together > found.alone >= 3
    assert found.pairs == 60


def test_more_spread_takes_more_seeds_and_a_larger_difference_fewer():
    numbers = [seeds_needed(gaps(sd, 20)).alone for sd in (0.01, 0.03, 0.1)]
    assert numbers == sorted(numbers)
    assert seeds_needed(gaps(0.05, 20), 0.1).alone < seeds_needed(gaps(0.05, 20), 0.05).alone


def test_where_the_test_examples_are_too_few_no_number_of_seeds_does():
    noisy = Estimate(0.0, 0.01, 10, 0.1, 0.05, 1e4, seed_share=0.004)
    found = seeds_needed(family([noisy]))
    assert (found.alone, found.together) == (None, None)


def test_without_an_interval_over_seeds_nothing_is_said():
    assert seeds_needed([]) is None
    assert seeds_needed(family([None, estimate([0.1]), estimate([0.1, 0.2])])) is None
