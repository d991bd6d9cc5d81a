"""Verdicts against controls: one adjusted analysis, with scipy as the oracle, and simulations with a planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchbias.board.standings import board_of
from benchbias.board.verdicts import verdicts
from benchbias.statistics.estimates import MARGIN, estimate
from support.made_records import LAYOUTS, counted, record, wobble


def holm(p_values):
    order, worst, found = np.argsort(p_values), 0.0, np.empty(len(p_values))
    for step, at in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - step) * p_values[at]))
        found[at] = worst
    return found


def expected(samples):
    """The verdicts by scipy: Student's t over seeds, two one-sided tests, Holm for each kind."""
    differ = holm([stats.ttest_1samp(x, 0).pvalue for x in samples])
    sides = [
        max(
            stats.ttest_1samp(x, -MARGIN, alternative="greater").pvalue,
            stats.ttest_1samp(x, MARGIN, alternative="less").pvalue,
        )
        for x in samples
    ]
    alike = holm(sides)
    words = []
    for x, one, other in zip(samples, differ, alike, strict=True):
        sided = "helps" if np.mean(x) > 0 else "harms"
        words.append(sided if one <= 0.05 else "no difference" if other <= 0.05 else "undecided")
    return words


def test_verdicts_are_those_of_scipy():
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(60):
        size = int(rng.integers(1, 9))
        truths = rng.choice([0.0, 0.0, 0.01, -0.05, 0.2, -0.2], size)
        samples = [rng.normal(truth, rng.choice([0.002, 0.01, 0.06]), int(rng.integers(3, 11))) for truth in truths]
        found = verdicts([estimate(list(map(float, sample))) for sample in samples], 1)
        assert found == expected(samples)
        seen |= set(found)
    assert seen == {"helps", "harms", "no difference", "undecided"}


def test_where_lower_is_better_a_fall_helps():
    fall = estimate([-0.2, -0.21, -0.19, -0.2])
    assert verdicts([fall], 1) == ["harms"]
    assert verdicts([fall], -1) == ["helps"]


def test_two_seeds_are_never_judged():
    assert verdicts([estimate([0.5, 0.5]), estimate([0.0, 0.0])], 1) == ["undecided", "undecided"]


@pytest.mark.slow
def test_false_verdicts_are_rare():
    """Ten rows without an effect: a `helps` or `harms` in at most 5 % of boards; ten at the margin: likewise alike."""
    rng = np.random.default_rng(11)
    boards, wrong, alike = 600, 0, 0
    for _ in range(boards):
        still = [estimate(list(map(float, rng.normal(0, 0.04, 6)))) for _ in range(10)]
        wrong += any(word in ("helps", "harms") for word in verdicts(still, 1))
        moved = [estimate(list(map(float, rng.normal(MARGIN, 0.02, 6)))) for _ in range(10)]
        alike += "no difference" in verdicts(moved, 1)
    bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / boards)
    assert 0 < wrong / boards <= bound
    assert alike / boards <= bound


def test_rows_at_the_floor_are_not_said_to_make_no_difference():
    names = {"cut": "low", "low": None}
    rows = [
        counted(name, seed, (0.99, 0.004), baseline=base, suite={"ceiling": None})
        for name, base in names.items()
        for seed in range(6)
    ]
    board = board_of(rows, LAYOUTS)
    assert next(row for row in board.standings[0].rows if row.method == "cut").marks.floor
    assert board.verdicts["toy", "cut"] == "undecided"
    taught = [record(name, s, 0.9 + wobble(name, s), baseline=base) for name, base in names.items() for s in range(6)]
    assert board_of(taught, {}).verdicts["toy", "cut"] == "no difference"
