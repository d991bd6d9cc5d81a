"""The separation of methods: resolved pairs, the rows' share of the variance, and agreement between seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from benchbias import Estimate, estimate, holm, p_value

from .lines import Line, in_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias import Measured, Population

QUESTION = "do methods separate?"
LEVEL = 0.05
SMALLEST_GAP = {"worst_group_accuracy": 2.0}
"""Points below which a gap does not count: values are as counted, and the bias of a least cancels only up to this."""


def separation(population: Population, metric: str, splits: int, seed: int) -> list[Line]:
    """Lines on the ranked rows over the seeds that all of them have; one that says so where there are too few."""
    rows = [members for members in population.rows().values() if members[0].record.body["ranked"]]
    common = sorted(set.intersection(*({one.seed for one in members} for members in rows))) if rows else []
    scores = [[in_points(one, metric) for one in members if one.seed in common] for members in rows]
    values = np.array([[float(one.value) for one in row] for row in scores])  # (rows, seeds)
    if len(rows) < 2 or len(common) < 2 or np.isnan(values).any():
        return [Line(QUESTION, "ranked rows", None, f"not known: {len(rows)} rows over {len(common)} common seeds")]
    differ, pairs = resolved(scores, SMALLEST_GAP.get(metric, 0.0))
    share, low, high = intraclass(values)
    taus = halves_agree(values, splits, np.random.default_rng(seed))
    return [
        Line(QUESTION, "share of pairs of rows resolved", _bare(differ / pairs), f"{differ} of {pairs}, after Holm"),
        Line(QUESTION, "intraclass correlation, one seed", _bare(share), _share_text(share, low, high)),
        Line(QUESTION, "Kendall's tau between halves of the seeds", _bare(_mean(taus)), _taus_text(taus)),
    ]


def resolved(scores: Sequence[Sequence[Measured]], smallest: float) -> tuple[int, int]:
    """How many pairs of rows differ at 5 % after Holm, paired by seed and test example; and all pairs."""
    gaps = [
        estimate([a - b for a, b in zip(one, other, strict=True)]) for one, other in itertools.combinations(scores, 2)
    ]
    adjusted = holm([p_value(gap) for gap in gaps])
    differ = [
        gap is not None and p <= LEVEL and abs(gap.mean) >= smallest for gap, p in zip(gaps, adjusted, strict=True)
    ]
    return sum(differ), len(gaps)


def intraclass(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The share of rows in the variance of one seed's value, with its 95 % interval; values (rows, seeds).

    ICC(3,1) of Shrout and Fleiss (1979): what a seed adds to all rows alike does not count, for rows are compared
    within seeds. The interval is exact for normal values of equal variance. NaN where nothing varies.
    """
    rows, seeds = values.shape
    by_row, by_seed = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    between = seeds * np.square(by_row - values.mean()).sum() / (rows - 1)
    within = np.square(values - by_row - by_seed + values.mean()).sum() / ((rows - 1) * (seeds - 1))
    if between + within == 0:
        return math.nan, math.nan, math.nan
    if within == 0:
        return 1.0, 1.0, 1.0
    ratio = between / within
    freedom = rows - 1, (rows - 1) * (seeds - 1)
    low, high = ratio / stats.f.ppf(1 - LEVEL / 2, *freedom), ratio * stats.f.ppf(1 - LEVEL / 2, *freedom[::-1])
    share, lower, upper = ((one - 1) / (one + seeds - 1) for one in (ratio, low, high))
    return float(share), float(lower), float(upper)


def halves_agree(values: NDArray[np.float64], splits: int, numbers: np.random.Generator) -> list[float]:
    """Kendall's tau-b between the means of rows over two disjoint halves of the seeds, for every halving.

    values (rows, seeds); of an odd number the second half has one more. Drawn where there are more than `splits`.
    """
    seeds = values.shape[1]
    if math.comb(seeds, seeds // 2) <= splits:
        halves = [list(half) for half in itertools.combinations(range(seeds), seeds // 2)]
    else:
        halves = [list(numbers.permutation(seeds)[: seeds // 2]) for _ in range(splits)]
    taus = []
    for half in halves:
        inside = np.isin(np.arange(seeds), half)
        taus.append(float(stats.kendalltau(values[:, inside].mean(axis=1), values[:, ~inside].mean(axis=1)).statistic))
    return taus


def _mean(taus: Sequence[float]) -> float:
    return math.fsum(taus) / len(taus)


def _bare(value: float) -> Estimate | None:
    """A value without an interval of the seeds."""
    return None if math.isnan(value) else Estimate.of(value, None, None, 1)


def _share_text(share: float, low: float, high: float) -> str:
    if math.isnan(share):
        return "not known: nothing varies"
    said = "mostly rows" if low > 0.5 else "mostly seeds" if high < 0.5 else "not settled"
    return f"{said} ({low:.2f} to {high:.2f})"


def _taus_text(taus: Sequence[float]) -> str:
    return f"{min(taus):.2f} to {max(taus):.2f} over {len(taus)} halvings"
