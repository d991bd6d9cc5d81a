"""Scenarios of `interval_coverage.py` and `twin_simulation.py`, their true values, and draws of counts.

An example is right with probability sigmoid(logit of its group + effect of the seed on its group + its difficulty);
all copies of a source example share its difficulty. A collapsed seed gives one answer always: it is right on the last
group and wrong on all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from benchbias.statistics.cells import Cells

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

TRUTH_SEEDS = 200_000  # drawn seeds for the true mean of per-seed minima: its error is below 0.02 points
LARGEST_TRUTH = 4_000_000  # drawn effects of seeds on groups: with many groups fewer seeds are drawn


@dataclass(frozen=True)
class Scenario:
    """One design. With a `change` it is a pair of rows, the second with logits + change.

    logits, examples: of every group; examples counts source examples, which are tested in this group alone, or with
    `in_groups` of 2 in this group and the next (a digit in two colours). copies: draws of each source example in a
    group. folds: 1 for one test set for all seeds; else each repetition of so many seeds tests each example once.
    common: the share of the seeds' variance that all groups have together; with 1 the order of groups is that of
    their logits in every seed. collapse: the probability that a seed of a row collapses.
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
    common: float = 0.5
    collapse: float = 0.0

    @property
    def groups(self) -> int:
        return len(self.logits)


@dataclass(frozen=True)
class Truth:
    """least_mean: least over groups of the mean accuracy. mean_least: mean over seeds of the least group accuracy."""

    least_mean: float
    mean_least: float


def logit_of(accuracy: float, spread: float) -> float:
    """The logit that gives an accuracy in mean over normal effects of this spread, of examples and of seeds."""
    grid, found = _accuracy_by_logit(spread)
    return float(np.interp(accuracy, found, grid))


def truth(scenario: Scenario, logits: tuple[float, ...], numbers: Generator) -> Truth:
    """The truth over all examples of a group and all seeds: integrated over examples, drawn over seeds."""
    grid, accuracy = _accuracy_by_logit(scenario.example_spread)
    seeds = min(TRUTH_SEEDS, LARGEST_TRUTH // scenario.groups)
    effect = _seed_effects(scenario, numbers, (seeds, 1))[:, 0]
    by_group = np.interp(np.array(logits) + effect, grid, accuracy)  # (seeds, G)
    collapsed = scenario.collapse * (np.arange(scenario.groups) == scenario.groups - 1)
    least_mean = ((1 - scenario.collapse) * by_group.mean(axis=0) + collapsed).min()
    return Truth(float(least_mean), float((1 - scenario.collapse) * by_group.min(axis=1).mean()))


def _accuracy_by_logit(spread: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits, and the accuracy at each in mean over normal effects."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    grid = np.linspace(-12, 12, 4801)
    return grid, expit(grid[:, None] + spread * nodes) @ (weights / weights.sum())


def draw(scenario: Scenario, repetitions: int, numbers: Generator) -> list[list[Cells]]:
    """One row, or two that are paired: of each a list of one Cells a seed, correct (R, M) for R repetitions."""
    return draw_rows(scenario, () if scenario.change is None else (scenario.change,), repetitions, numbers)


def draw_rows(
    scenario: Scenario,
    changes: Sequence[tuple[float, ...]],
    repetitions: int,
    numbers: Generator,
    spreads: Sequence[float] | None = None,
) -> list[list[Cells]]:
    """Draw the scenario's row, and one for every change of its logits, each paired with the first, as `draw` does.

    spreads: of the seeds of every row, where they are not the scenario's.
    """
    layouts = _test_sets(scenario, numbers)
    shape = (repetitions, scenario.seeds)
    effects = [_seed_effects(scenario, numbers, shape)]  # (R, S, G)
    logits = [np.array(scenario.logits)]
    for change in changes:
        own = _seed_effects(scenario, numbers, shape)
        effects.append(scenario.correlation * effects[0] + np.sqrt(1 - scenario.correlation**2) * own)
        logits.append(logits[0] + np.array(change))
    if spreads is not None:
        effects = [effect * (one / scenario.seed_spread) for effect, one in zip(effects, spreads, strict=True)]
    difficulties = _difficulties(scenario, repetitions, len(effects), numbers)
    rows: list[list[Cells]] = [[] for _ in effects]
    for seed, (cluster, group) in enumerate(layouts):
        total = np.full(len(cluster), scenario.copies)
        for row, logit, effect, difficulty in zip(rows, logits, effects, difficulties, strict=True):
            chance = expit((logit + effect[:, seed])[:, group] + difficulty[:, cluster])
            if scenario.collapse:
                constant = np.where(group == scenario.groups - 1, 1.0, 0.0)
                chance = np.where(numbers.random((repetitions, 1)) < scenario.collapse, constant, chance)
            row.append(Cells(cluster, group, total, numbers.binomial(total, chance), f"test set of seed {seed}"))
    return rows


def _seed_effects(scenario: Scenario, numbers: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """(*shape, G): a share of the variance is common to all groups of a seed."""
    common = numbers.normal(0, scenario.seed_spread, (*shape, 1))
    own = numbers.normal(0, scenario.seed_spread, (*shape, scenario.groups))
    effects: NDArray[np.float64] = np.sqrt(scenario.common) * common + np.sqrt(1 - scenario.common) * own
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
