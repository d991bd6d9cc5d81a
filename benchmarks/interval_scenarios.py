"""Scenarios of `interval_coverage.py` and `twin_simulation.py`, their true values, and draws of counts.

An example is right with probability sigmoid(logit of its group + effect of the seed on its group + its difficulty);
seed effects are correlated 0.5 between groups; all copies of a source example share its difficulty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from benchbias.statistics.cells import Cells

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

TRUTH_SEEDS = 200_000  # drawn seeds for the true mean of per-seed minima: its error is below 0.02 points


@dataclass(frozen=True)
class Scenario:
    """One design. With a `change` it is a pair of rows, the second with logits + change.

    logits, examples: of every group; examples counts source examples, which are tested in this group alone, or with
    `in_groups` of 2 in this group and the next (a digit in two colours). copies: draws of each source example in a
    group. folds: 1 for one test set for all seeds; else each repetition of so many seeds tests each example once.
    """

    name: str
    logits: tuple[float, ...]
    examples: tuple[int, ...]
    seeds: int
    seed_spread: float
    example_spread: float
    change: tuple[float, ...] | None = None
    correlation: float = 0.7  # of the two rows' seed effects
    example_correlation: float = 1.0  # of the two rows' difficulties of an example
    folds: int = 1
    in_groups: int = 1
    copies: int = 1

    @property
    def groups(self) -> int:
        return len(self.logits)


DIGITS = Scenario("4 groups, 2 tied worst, 5 seeds", (3.5, 3.5, -0.3, -0.3), (200,) * 4, 5, 0.5, 1.5)
TIED = Scenario("4 tied groups, little seed noise, 5 seeds", (2.0,) * 4, (200,) * 4, 5, 0.15, 1.5)
FOLDS = replace(
    DIGITS,
    name="5 folds twice, 4 copies in 2 groups, 10 seeds",
    logits=(3.5, -0.3, -0.3, 3.5),
    examples=(900, 0, 900, 0),
    seeds=10,
    folds=5,
    in_groups=2,
    copies=4,
)

ROWS = (
    DIGITS,
    replace(DIGITS, name="4 groups, not tied, 10 seeds", logits=(3.5, 3.5, -0.3, 0.3), seeds=10),
    TIED,
    Scenario("25 groups, 5 tied worst, 5 seeds", (3.0,) * 20 + (1.0,) * 5, (400,) * 25, 5, 0.3, 1.5),
    Scenario("180 examples in the worst group, 5 seeds", (3.0, 3.0, 1.0, 0.8), (2000, 1500, 600, 180), 5, 0.2, 2.0),
    FOLDS,
)

NONE = (0.0,) * 4
PAIRS = (
    replace(DIGITS, name="no change, 5 seeds", change=NONE),
    replace(DIGITS, name="no change, 10 seeds", change=NONE, seeds=10),
    replace(DIGITS, name="harm, 10 seeds", change=(0.0, 0.0, -0.5, -0.5), seeds=10),
    replace(TIED, name="no change, tied groups, 5 seeds", change=NONE, correlation=0.5),
    replace(FOLDS, name="no change, 5 folds twice, 10 seeds", change=NONE),
    replace(
        DIGITS, name="no change, other examples are hard, 10 seeds", change=NONE, seeds=10, example_correlation=0.5
    ),
)


@dataclass(frozen=True)
class Truth:
    """least_mean: least over groups of the mean accuracy. mean_least: mean over seeds of the least group accuracy."""

    least_mean: float
    mean_least: float


def truth(scenario: Scenario, logits: tuple[float, ...], numbers: Generator) -> Truth:
    """The truth over all examples of a group and all seeds: integrated over examples, drawn over seeds."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    grid = np.linspace(-12, 12, 4801)
    accuracy = expit(grid[:, None] + scenario.example_spread * nodes) @ (weights / weights.sum())  # by logit
    effect = _seed_effects(scenario, numbers, (TRUTH_SEEDS, 1))[:, 0]
    by_group = np.interp(np.array(logits) + effect, grid, accuracy)  # (seeds, G)
    return Truth(float(by_group.mean(axis=0).min()), float(by_group.min(axis=1).mean()))


def draw(scenario: Scenario, repetitions: int, numbers: Generator) -> list[list[Cells]]:
    """One row, or two that are paired: of each a list of one Cells a seed, correct (R, M) for R repetitions."""
    return draw_rows(scenario, () if scenario.change is None else (scenario.change,), repetitions, numbers)


def draw_rows(
    scenario: Scenario, changes: Sequence[tuple[float, ...]], repetitions: int, numbers: Generator
) -> list[list[Cells]]:
    """Draw the scenario's row, and one for every change of its logits, each paired with the first, as `draw` does."""
    layouts = _test_sets(scenario, numbers)
    shape = (repetitions, scenario.seeds)
    effects = [_seed_effects(scenario, numbers, shape)]  # (R, S, G)
    logits = [np.array(scenario.logits)]
    for change in changes:
        own = _seed_effects(scenario, numbers, shape)
        effects.append(scenario.correlation * effects[0] + np.sqrt(1 - scenario.correlation**2) * own)
        logits.append(logits[0] + np.array(change))
    difficulties = _difficulties(scenario, repetitions, len(effects), numbers)
    rows: list[list[Cells]] = [[] for _ in effects]
    for seed, (cluster, group) in enumerate(layouts):
        total = np.full(len(cluster), scenario.copies)
        for row, logit, effect, difficulty in zip(rows, logits, effects, difficulties, strict=True):
            chance = expit((logit + effect[:, seed])[:, group] + difficulty[:, cluster])
            row.append(Cells(cluster, group, total, numbers.binomial(total, chance), f"test set of seed {seed}"))
    return rows


def _seed_effects(scenario: Scenario, numbers: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """(*shape, G): half of the variance is common to all groups of a seed."""
    common = numbers.normal(0, scenario.seed_spread, (*shape, 1))
    own = numbers.normal(0, scenario.seed_spread, (*shape, scenario.groups))
    effects: NDArray[np.float64] = np.sqrt(0.5) * (common + own)
    return effects


def _difficulties(scenario: Scenario, repetitions: int, rows: int, numbers: Generator) -> list[NDArray[np.float64]]:
    """Difficulties for each row, (R, source examples), each of the same spread."""
    shape = (repetitions, sum(scenario.examples))
    first = numbers.normal(0, scenario.example_spread, shape)
    shared = scenario.example_correlation
    if rows == 1 or shared == 1:
        return [first] * rows
    own = (numbers.normal(0, scenario.example_spread, shape) for _ in range(rows - 1))
    return [first, *(shared * first + np.sqrt(1 - shared**2) * one for one in own)]


def _test_sets(scenario: Scenario, numbers: Generator) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(cluster, group) of every cell that a seed tests, by cluster; folds are stratified by the first group."""
    source = np.repeat(np.arange(scenario.groups), scenario.examples)  # the first group of each source example
    found = []
    for seed in range(scenario.seeds):
        if seed % scenario.folds == 0:
            fold = np.empty(len(source), dtype=int)
            for group in range(scenario.groups):
                members = numbers.permutation(np.flatnonzero(source == group))
                fold[members] = np.arange(len(members)) % scenario.folds
        cluster = np.flatnonzero(fold == seed % scenario.folds)
        cells = np.repeat(cluster, scenario.in_groups)
        found.append((cells, source[cells] + np.tile(np.arange(scenario.in_groups), len(cluster))))
    return found
