"""Differences of two rows, simulated: coverage, how often equal rows are called different, the tail of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from interval_draws import at_least, chunks, estimates, table, told, worst
from interval_scenarios import draw_rows, truth
from interval_worlds import PAIRS, SEEDS, Pair

from benchbias.statistics import behrens_fisher
from benchbias.statistics.estimates import p_value
from benchbias.statistics.spread import spread

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from benchbias.statistics.estimates import Estimate, Spread

    Values = NDArray[np.float64]

FAMILIES = (1, 78, 2415)  # comparisons: one, all pairs of 13 rows, all pairs of 70
LEVEL = 0.05
SHARES = (0.1, 0.5, 0.9)  # of the variance, that the seeds have


def simulate_pair(pair: Pair, repetitions: int, numbers: Generator) -> dict[int, list[Estimate]]:
    """The difference second - first by the number of seeds, of every repetition."""
    found: dict[int, list[Estimate]] = {seeds: [] for seeds in SEEDS}
    for size in chunks(sum(pair.first.examples) // pair.first.folds, repetitions):
        one, other = (worst(row, pair.first.groups) for row in draw_rows(pair.first, (pair.change,), size, numbers))
        gaps = [b - a for a, b in zip(one, other, strict=True)]
        for seeds in SEEDS:
            found[seeds] += estimates(gaps[:seeds])
    return found


def true_gap(pair: Pair) -> float:
    """The true difference: the same seeds are drawn for both rows."""
    if pair.null:
        return 0.0
    one, other = (
        truth(pair.first, logits, np.random.default_rng(0)).mean_least for logits in (pair.first.logits, pair.second)
    )
    return other - one


def pair_lines(pair: Pair, repetitions: int, numbers: Generator) -> list[list[str]]:
    """A line of the table for 3, 5 and 10 seeds."""
    true = true_gap(pair)
    lines = []
    for seeds, found in simulate_pair(pair, repetitions, numbers).items():
        p = np.array([p_value(one) for one in found])
        small = [f"{(p <= LEVEL / family).sum()}" for family in FAMILIES[1:]]
        first = [f"{pair.first.name}, {seeds} seeds", str(repetitions), f"{100 * true:+.1f}"]
        lines.append([*first, *told(found, true).words(), f"{100 * (p <= LEVEL).mean():.1f}", *small])
    return lines


def gaps_table(repetitions: int, seed: int) -> list[str]:
    """Markdown of every pair of rows."""
    head = (
        "world",
        "repetitions",
        "truth",
        "coverage",
        "width",
        "bias",
        "p ≤ 0.05, %",
        "p ≤ 0.05/78",
        "p ≤ 0.05/2,415",
    )
    lines = []
    for number, pair in enumerate(PAIRS):
        numbers = np.random.default_rng([seed, 4, number])
        lines += pair_lines(pair, at_least(repetitions, pair.first.groups), numbers)
    return table(head, lines)


def tail_table(repetitions: int, seed: int) -> list[str]:
    """Markdown: false findings expected in a family of equal rows, by the test alone and by the one before."""
    head = ["seeds, their share of the variance", "one at 5 %", *(f"among {family:,}" for family in FAMILIES[1:])]
    lines = []
    for seeds in SEEDS:
        for share in SHARES:
            numbers = np.random.default_rng([seed, 5, seeds, round(100 * share)])
            ours, before = tail_of(seeds, share, 180, repetitions, numbers)
            cells = [
                f"{factor * one:.{digits}f} (before: {factor * other:.{digits}f})"
                for factor, digits, one, other in zip((100, *FAMILIES[1:]), (1, 3, 3), ours, before, strict=True)
            ]
            lines.append([f"{seeds} seeds, {100 * share:.0f} %", f"{cells[0]} %", *cells[1:]])
    return table(head, lines)


def tail_of(
    seeds: int, share: float, clusters: int, repetitions: int, numbers: Generator
) -> tuple[list[float], list[float]]:
    """The shares of equal rows with p <= 0.05 over 1, 78 and 2,415, by the test and by Satterthwaite's single t.

    Errors are normal: of seeds, with this share of the variance, and of the images' mean, whose variance is estimated
    from so many clusters.
    """
    from scipy.special import stdtrit

    ours, before = np.zeros(len(FAMILIES)), np.zeros(len(FAMILIES))
    for size in chunks(seeds, repetitions):
        found = _drawn(seeds, share, clusters, size, numbers)
        distance = abs(found.mean) / found.standard_error
        parts = found.from_seeds / found.standard_error**2
        for at, family in enumerate(FAMILIES):
            probability = 1 - LEVEL / family / 2
            bound = behrens_fisher.quantile(parts, seeds - 1, clusters - 1, probability)
            ours[at] += (distance >= bound).sum()
            before[at] += (distance >= stdtrit(found.freedom, probability)).sum()
    return (ours / repetitions).tolist(), (before / repetitions).tolist()


def _drawn(seeds: int, share: float, clusters: int, size: int, numbers: Generator) -> Spread:
    """Equal rows: means over seeds, of the seeds' and the images' normal errors."""
    images = (1 - share) / share / seeds  # the variance of the images' error; that of one seed is 1
    error: Values = numbers.normal(0, np.sqrt(images), (size, 1))
    estimated = images * numbers.chisquare(clusters - 1, size) / (clusters - 1)
    return spread(numbers.normal(0, 1, (size, seeds)) + error, estimated, clusters)
