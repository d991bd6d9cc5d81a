"""The moderated t, simulated: seeds' variances of a table's pairs drawn together, which the board does not do.

Smyth (2004, Stat. Appl. Genet. Mol. Biol. 3:3): variances of pairs are taken as drawn from a scaled inverse chi
square, whose two numbers are estimated from all pairs; each pair's own is moved towards it, and gains its degrees of
freedom. Here the images' error is added as the board adds it (Behrens and Fisher).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from interval_draws import table
from interval_worlds import SEEDS, evenly

from benchbias.statistics import behrens_fisher
from benchbias.statistics.ranking import holm

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

ROWS = 13
FIRST, SECOND = np.array(list(itertools.combinations(range(ROWS), 2))).T
LEVELS = np.repeat([0.1, 0.04, 0.0, -0.06], [3, 4, 3, 3])
COMMON = 0.04  # the spread of what a seed adds to all rows
CLUSTERS = 100  # test images that decide a row's mean
LOST = 0.6  # what a collapsed seed loses
MOST = 1e6  # degrees of freedom of the common variance, where all pairs' are alike
LEVEL = 0.05


@dataclass(frozen=True)
class Spreads:
    """The spread of seeds of every row, and the probability that a seed collapses.

    images: the standard error of a row's mean from its test images.
    """

    name: str
    rows: tuple[float, ...]
    collapse: float = 0.0
    images: float = 0.015


WORLDS = (
    Spreads("seeds of all rows spread 3 points", (0.03,) * ROWS),
    Spreads("seeds spread 1 to 6 points", evenly(0.01, 0.06, ROWS)),
    Spreads("3 points, one wild row of 15", (0.15, *(0.03,) * (ROWS - 1))),
    Spreads("3 points, one seed in ten collapses", (0.03,) * ROWS, 0.1),
    Spreads("1 to 6 points, images exact", evenly(0.01, 0.06, ROWS), images=1e-4),
    Spreads("3 points, one wild row of 15, images exact", (0.15, *(0.03,) * (ROWS - 1)), images=1e-4),
)


def moderated(variance: Values, freedom: float) -> tuple[Values, float]:
    """Every pair's variance moved towards the common one, and its degrees of freedom (Smyth, section 6.2)."""
    from scipy.special import digamma, polygamma

    log = np.log(np.maximum(variance, 1e-12)) - digamma(freedom / 2) + np.log(freedom / 2)
    apart = log.var(ddof=1) - polygamma(1, freedom / 2)
    common = MOST if apart <= 0 else min(MOST, 2 * _trigamma_inverse(float(apart)))
    centre = np.exp(log.mean() + (digamma(common / 2) - np.log(common / 2) if apart > 0 else 0.0))
    return (common * centre + freedom * variance) / (common + freedom), common + freedom


def _trigamma_inverse(value: float) -> float:
    """Newton's method on the reciprocal (Smyth, appendix)."""
    from scipy.special import polygamma

    found = 0.5 + 1 / value
    for _ in range(50):
        ahead = polygamma(1, found)
        found += ahead * (1 - ahead / value) / polygamma(2, found)
    return float(found)


def draw_board(world: Spreads, seeds: int, levels: Values, numbers: Generator) -> tuple[Values, Values, Values]:
    """The pairs' mean differences, variances between seeds, and estimated variances of the images' error: (78,)."""
    values = levels[:, None] + COMMON * numbers.standard_normal(seeds)
    values = values + np.array(world.rows)[:, None] * numbers.standard_normal((ROWS, seeds))
    values -= LOST * (numbers.random((ROWS, seeds)) < world.collapse)
    images = world.images * numbers.standard_normal(ROWS)
    gaps = values[FIRST] - values[SECOND]
    shared = 2 * world.images**2 * numbers.chisquare(CLUSTERS - 1, len(FIRST)) / (CLUSTERS - 1)
    return gaps.mean(axis=1) + images[FIRST] - images[SECOND], gaps.var(axis=1, ddof=1), shared


def p_values(mean: Values, variance: Values, shared: Values, seeds: int, freedom: float) -> list[float]:
    """Two-sided p-values by Behrens and Fisher, the seeds' variance with these degrees of freedom."""
    error = np.sqrt(variance / seeds + shared)
    shares = variance / seeds / error**2
    return [
        2 * behrens_fisher.tail(float(distance), float(share), freedom, CLUSTERS - 1)
        for distance, share in zip(abs(mean) / error, shares, strict=True)
    ]


def judged(world: Spreads, seeds: int, levels: Values, repetitions: int, numbers: Generator) -> Values:
    """Shares of boards with a false "better" and of differences found, (2, 2): of the board's test and of this."""
    true, found = levels[FIRST] - levels[SECOND], np.zeros((2, 2))
    for _ in range(repetitions):
        mean, variance, shared = draw_board(world, seeds, levels, numbers)
        drawn, freedom = moderated(variance, seeds - 1)
        tests = ((variance, float(seeds - 1)), (drawn, freedom))
        for at, (used, own) in enumerate(tests):
            told = np.array(holm(p_values(mean, used, shared, seeds, own))) <= LEVEL
            right = told & (np.sign(mean) == np.sign(true))
            found[at] += (told & ~right).any(), right.sum() / max(1, int((true != 0).sum()))
    return found / repetitions


def moderated_lines(number: int, repetitions: int, seed: int) -> list[list[str]]:
    """A line of the table for 3, 5 and 10 seeds, of the world with this number."""
    world, lines = WORLDS[number], []
    for seeds in SEEDS:
        sides = [
            judged(world, seeds, levels, repetitions, np.random.default_rng([seed, 8, number, seeds, side]))
            for side, levels in enumerate((np.zeros(ROWS), LEVELS))
        ]
        lines.append([f"{world.name}, {seeds} seeds", *_cells(sides)])
    return lines


def moderated_table(repetitions: int, seed: int) -> list[str]:
    """Markdown: errors and power of the board's test and of the moderated one."""
    lines = [line for number in range(len(WORLDS)) for line in moderated_lines(number, repetitions, seed)]
    head = ("13 rows", "false “better”, all equal: the board's", "moderated", "four levels: the board's", "moderated")
    return table((*head, "differences found: the board's", "moderated"), lines)


def _cells(sides: Sequence[Values]) -> list[str]:
    equal, levels = sides
    errors = [f"{100 * side[at, 0]:.1f}" for side in (equal, levels) for at in (0, 1)]
    return [*errors, *(f"{100 * levels[at, 1]:.0f}" for at in (0, 1))]
