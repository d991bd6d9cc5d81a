"""Does one value of an attribute lose more than the rest? A melded p value for each, times their number.

The group's lower bound at a random level is held against the upper bound of the rest at another one (Fay, Proschan
and Brittain, 2015, Biometrics 71, 146-156): p = P(L <= U), L and U drawn from the two confidence distributions. The
chance is one integral over the harm. Permutations, Wald's test and Fisher's test of losses alarm falsely where groups
flip at different rates.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchbias.auditing.statistics.clusters import alike, with_worst
from benchbias.auditing.statistics.weighted import LEAST, Outcomes, tails

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DEPTH = 30.0  # logs below the largest integrand that are held
GRID, NODES = 21, 32


def uneven_p(harm: ArrayLike, codes: ArrayLike, values: int, cluster: ArrayLike | None = None) -> tuple[float, int]:
    """p that no value of an attribute loses more than all others together, and the code of the worst value.

    harm: int (N,), 1 lost, -1 gained, 0 neither; codes: int (N,) from 0 to values - 1, rows with other codes are left
    out; cluster: int (N,) or None, equal for examples that are no independent draws. A value whose mean is not above
    the mean of the rest has p 1. With fewer than two values that have examples p is 1. Where all p are 1 the worst is
    the value of the largest harm; -1 where there are no examples. The order of rows does not matter.
    """
    change, code = np.asarray(harm, np.int64).ravel(), np.asarray(codes, np.int64).ravel()
    inside = (code >= 0) & (code < values)
    change, code = change[inside], code[inside]
    size = np.bincount(code, minlength=values)
    present = np.flatnonzero(size)
    if not len(present):
        return 1.0, -1
    means = np.bincount(code, change, minlength=values)[present] / size[present]
    worst = int(present[means.argmax()])
    if len(present) == 1:
        return 1.0, worst
    unit = None if cluster is None else np.asarray(cluster).ravel()[inside]
    parts = _singles(change, code, present) if unit is None else _clustered(change, code, present, unit)
    found = np.array([melded_p(one, rest) for one, rest in parts])
    if (found < 1).any():
        worst = int(present[found.argmin()])
    return float(min(1.0, len(present) * found.min())), worst


def melded_p(one: Kinds, rest: Kinds) -> float:
    """p of H0: the harm of the one group is at most that of the rest."""
    low = with_worst(one.harm, one.size, one.number, (-1.0,))
    high = with_worst(rest.harm, rest.size, rest.number, (1.0,))
    (first, spread), (second, other) = _moments(low), _moments(high)
    if first <= second:
        return 1.0
    end = float((low.harm / low.size)[low.number > 0].max())  # the least harm that L never exceeds
    precision = 1 / np.array([spread, other]) ** 2
    centre = (first * precision[0] + second * precision[1]) / precision.sum()
    left, right = _window(low, high, centre, 8 / np.sqrt(precision.sum()), end)
    x, weight = np.polynomial.legendre.leggauss(NODES)
    inside = np.exp(_log(low, high, (left + right) / 2 + x * (right - left) / 2))
    beyond = float(tails(high, end).above[0]) if end < 1 else 0.0
    chance = float((inside * weight).sum()) * (right - left) / 2 + beyond
    return min(1.0, max(LEAST, chance))


@dataclass(frozen=True)
class Kinds:
    """Clusters that are alike. harm, size, number: float (J,)."""

    harm: Floats
    size: Floats
    number: Floats


def _moments(outcomes: Outcomes) -> tuple[float, float]:
    """The mean and about the standard deviation of the mean under weights."""
    number, harm, size = outcomes.number[0], outcomes.harm[0], outcomes.size[0]
    total = float((number * size).sum())
    mean = float((number * harm).sum()) / total
    return mean, max(1e-12, float(np.sqrt((number * (harm - mean * size) ** 2).sum())) / total)


def _log(low: Outcomes, high: Outcomes, at: Floats) -> Floats:
    """The logarithm of P(L <= at) times the density of U there."""
    below = tails(_repeated(low, len(at)), at).below
    density = tails(_repeated(high, len(at)), at).density
    with np.errstate(divide="ignore"):
        return np.log(below) + np.log(np.maximum(density, 0.0))


def _repeated(outcomes: Outcomes, times: int) -> Outcomes:
    shape = (times, outcomes.number.shape[1])
    return Outcomes(*(np.broadcast_to(v, shape) for v in (outcomes.number, outcomes.harm, outcomes.size)))


def _window(low: Outcomes, high: Outcomes, centre: float, reach: float, end: float) -> tuple[float, float]:
    """Where the integrand, which has one mode, is not negligible."""
    least = float((high.harm / high.size)[high.number > 0].min())
    left, right = max(least, centre - reach), min(end, centre + reach)
    for _ in range(40):
        grid = np.linspace(left, right, GRID + 2)
        log = _log(low, high, grid[1:-1])
        kept = np.flatnonzero(log > log.max() - DEPTH) if np.isfinite(log.max()) else np.arange(GRID)
        first, last = kept[0], kept[-1]
        more = (first == 0 and left > least, last == GRID - 1 and right < end)
        if any(more):
            left = max(least, left - (right - left)) if more[0] else left
            right = min(end, right + (right - left)) if more[1] else right
        elif last - first < GRID // 3:
            left, right = float(grid[first]), float(grid[last + 2])
        else:
            return float(grid[first]), float(grid[last + 2])
    return left, right


def _singles(change: Ints, code: Ints, present: Ints) -> Iterator[tuple[Kinds, Kinds]]:
    """Every value and its rest, where each example is a cluster."""
    table = np.stack([np.bincount(code[change == step], minlength=present[-1] + 1) for step in (1, 0, -1)], axis=-1)
    harm, size, whole = np.array([1.0, 0.0, -1.0]), np.ones(3), table.sum(0)
    for value in present:
        yield Kinds(harm, size, table[value].astype(float)), Kinds(harm, size, (whole - table[value]).astype(float))


def _clustered(change: Ints, code: Ints, present: Ints, unit: NDArray[np.generic]) -> Iterator[tuple[Kinds, Kinds]]:
    """Every value and its rest, of clusters whose examples may have several values."""
    number = np.unique(unit, return_inverse=True)[1].astype(np.int64)
    pairs, of = np.unique(code * (number.max() + 1) + number, return_inverse=True)
    harm, size = np.bincount(of, change).astype(np.int64), np.bincount(of)
    owner, holder = pairs % (number.max() + 1), pairs // (number.max() + 1)
    all_harm, all_size = np.bincount(owner, harm).astype(np.int64), np.bincount(owner, size).astype(np.int64)
    edges = np.searchsorted(holder, np.append(present, present[-1] + 1))
    for start, stop in itertools.pairwise(edges):
        own, its_harm, its_size = owner[start:stop], harm[start:stop], size[start:stop]
        rest_harm, rest_size = all_harm.copy(), all_size.copy()
        rest_harm[own] -= its_harm
        rest_size[own] -= its_size
        there = rest_size > 0
        yield Kinds(*alike(its_harm, its_size)), Kinds(*alike(rest_harm[there], rest_size[there]))
