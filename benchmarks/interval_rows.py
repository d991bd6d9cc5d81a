"""Intervals of one row, simulated: the mean over seeds of the least accuracy, and the least over groups of the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from interval_bootstrap import crossed, nested
from interval_draws import Told, at_least, chunks, estimates, table, told, told_bounds, worst
from interval_scenarios import Scenario, draw, truth
from interval_worlds import COLLAPSE, DIGITS, FEW, ROWS, SEEDS, STILL

from benchbias.statistics.cells import Cells
from benchbias.statistics.estimates import spread_over_seeds
from benchbias.statistics.influence import example_variance
from benchbias.statistics.spread import spread
from benchbias.statistics.worst_group import least_mean

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from benchbias.statistics.estimates import Estimate
    from benchbias.statistics.influence import Measured

    Values = NDArray[np.float64]

SLOWER = 4  # the least of the means is estimated in one of so many repetitions: it is computed one by one
DRAWS = 300  # of a bootstrap


@dataclass(frozen=True)
class RowFound:
    """One world at one number of seeds: the board's intervals of both quantities, and those of the old formula."""

    mean_least: Told
    least_mean: Told
    old: Told


def row_lines(scenario: Scenario, repetitions: int, numbers: Generator) -> list[list[str]]:
    """A line of the table for 3, 5 and 10 seeds."""
    true = truth(scenario, scenario.logits, numbers)
    lines = []
    for seeds, found in simulate_row(scenario, repetitions, numbers).items():
        first = [f"{scenario.name}, {seeds} seeds", str(repetitions)]
        board, old = found.mean_least.words(), found.old.words()
        line = [*first, f"{100 * true.mean_least:.1f}", *board, old[0], old[2]]
        lines.append([*line, f"{100 * true.least_mean:.1f}", *found.least_mean.words()])
    return lines


def simulate_row(scenario: Scenario, repetitions: int, numbers: Generator) -> dict[int, RowFound]:
    """The intervals of every number of seeds against the truth; the first so many of the same ten seeds."""
    true = truth(scenario, scenario.logits, np.random.default_rng(0))
    board: dict[int, list[Estimate]] = {seeds: [] for seeds in SEEDS}
    least: dict[int, list[Estimate]] = {seeds: [] for seeds in SEEDS}
    old: dict[int, list[tuple[Values, Values, Values]]] = {seeds: [] for seeds in SEEDS}
    for size in chunks(sum(scenario.examples) // scenario.folds, repetitions):
        (row,) = draw(scenario, size, numbers)
        measured = worst(row, scenario.groups)
        for seeds in SEEDS:
            board[seeds] += estimates(measured[:seeds])
            old[seeds].append(satterthwaite(measured[:seeds]))
            least[seeds] += _least_means(row[:seeds], scenario.groups, range(0, size, SLOWER))
    found = {}
    for seeds in SEEDS:
        lower, upper, mean = (np.concatenate(columns) for columns in zip(*old[seeds], strict=True))
        before = told_bounds(lower, upper, float(mean.mean()), true.mean_least)
        found[seeds] = RowFound(told(board[seeds], true.mean_least), told(least[seeds], true.least_mean), before)
    return found


def _least_means(row: Sequence[Cells], groups: int, repetitions: Sequence[int]) -> list[Estimate]:
    found = (least_mean([replace(cells, correct=cells.correct[at]) for cells in row], groups) for at in repetitions)
    return [one for one in found if one is not None]


def satterthwaite(measured: Sequence[Measured]) -> tuple[Values, Values, Values]:
    """The interval before: bounds and means (R,), of the raw least, by one t for both errors; NaN if nothing varies."""
    from scipy.special import stdtrit

    variance, clusters = example_variance([one.influence for one in measured if one.influence is not None])
    found = spread(np.stack([np.asarray(one.value) for one in measured], axis=-1), variance, clusters)
    half = stdtrit(found.freedom, 0.975) * np.where(found.standard_error > 0, found.standard_error, np.nan)
    return found.mean - half, found.mean + half, found.mean


def rows_table(repetitions: int, seed: int) -> list[str]:
    """Markdown of every world of one row."""
    head = ("world", "repetitions", "truth", "coverage", "width", "bias", "before: coverage", "bias")
    lines = []
    for number, scenario in enumerate(ROWS):
        numbers = np.random.default_rng([seed, 1, number])
        lines += row_lines(scenario, at_least(repetitions, scenario.groups), numbers)
    return table((*head, "worst group of the mean: truth", "coverage", "width", "bias"), lines)


def collapse_table(repetitions: int, seed: int) -> list[str]:
    """Markdown: the coverage where one seed in ten collapses, by whether a seed of the row shows it."""
    true = truth(COLLAPSE, COLLAPSE.logits, np.random.default_rng(0)).mean_least
    found: dict[int, list[Estimate]] = {seeds: [] for seeds in SEEDS}
    shown: dict[int, list[bool]] = {seeds: [] for seeds in SEEDS}
    numbers = np.random.default_rng([seed, 2])
    for size in chunks(sum(COLLAPSE.examples), 2 * repetitions):
        (row,) = draw(COLLAPSE, size, numbers)
        measured = worst(row, COLLAPSE.groups)
        for seeds in SEEDS:
            values = np.stack([np.asarray(one.value) for one in measured[:seeds]])
            found[seeds] += estimates(measured[:seeds])
            shown[seeds] += (values == 0).any(axis=0).tolist()
    lines = []
    for seeds in SEEDS:
        parts = [[one for one, has in zip(found[seeds], shown[seeds], strict=True) if has == side] for side in (0, 1)]
        cells = [told(part, true).words()[0] for part in (found[seeds], *parts)]
        lines.append([f"{seeds} seeds", f"{100 * (1 - np.mean(shown[seeds])):.0f}", *cells])
    return table(("", "runs in which no seed shows it", "coverage", "where none shows it", "where one does"), lines)


def bootstraps_table(repetitions: int, seed: int) -> list[str]:
    """Markdown: intervals that the board does not use, of five seeds."""
    head = ("world, 5 seeds", "the board's", "t, seeds alone", "percentile, nested", "percentile, crossed")
    lines = []
    for number, scenario in enumerate((DIGITS, STILL, FEW)):
        numbers, five = np.random.default_rng([seed, 3, number]), replace(scenario, seeds=5)
        true = truth(five, five.logits, np.random.default_rng(0)).mean_least
        bounds: list[list[tuple[Values, Values]]] = []
        for size in chunks(20_000, repetitions):  # the bootstraps' draws of examples are shared by a chunk
            (row,) = draw(five, size, numbers)
            measured = worst(row, five.groups)
            board = np.array([one.interval() for one in estimates(measured)])
            alone = spread_over_seeds([replace(one, influence=None, bias=0.0) for one in measured])
            half = alone.half_width
            inside = [(board[:, 0], board[:, 1]), (alone.mean - half, alone.mean + half)]
            bounds.append([*inside, nested([row], DRAWS, numbers), crossed([row], DRAWS, numbers)])
        cells = []
        for parts in zip(*bounds, strict=True):
            lower, upper = (np.concatenate(side) for side in zip(*parts, strict=True))
            cells.append(told_bounds(lower, upper, true, true).words()[0])
        lines.append([scenario.name, *cells])
    return table(head, lines)
