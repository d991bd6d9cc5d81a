"""Bounds and tests of the harm of a group whose examples come in clusters: copies of one image, frames of one video.

Every cluster gets an exponential weight, and one pseudo-cluster more has the worst outcome: Gaffke's bound over
clusters. The pseudo-cluster has the size of the cluster that an example is in on average, sum size² / sum size, since
with the plain mean the bound misses too often where sizes differ. No harm is tested by the signs of cluster sums, which
is exact where these are symmetric about 0, and by the lower bound, which need not be: the larger p counts.
Single examples are clusters of size 1: all numbers are then those of `bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchbias.auditing.statistics.signs import sign_p
from benchbias.auditing.statistics.weighted import LEAST, Outcomes, quantile, tails

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClusteredHarm:
    """The harm of a group of clusters. lower, upper: one-sided bounds, shares.

    p: of no harm; least: the least p that so many clusters with a harm other than 0 can give; p_safe: of harm >=
    margin; p_beyond: of harm <= margin. design: how many times as many examples it takes as if all were independent.
    """

    lower: float
    upper: float
    p: float
    least: float
    p_safe: float
    p_beyond: float
    design: float


def clustered_harm(
    harm: ArrayLike, size: ArrayLike, margin: float, level: float = 0.05, *, flips: int | None = None
) -> ClusteredHarm:
    """The bounds and tests of one group.

    harm: int (K,), examples lost less those gained in each cluster; size: int (K,), its examples, at least 1. flips:
    examples lost or gained in all, for the design effect; the least number that the harms allow where not given. The
    order of clusters does not matter. Raises ValueError where |harm| > size, or size < 1.
    """
    harms, sizes, number = alike(harm, size)
    if not len(harms):
        return ClusteredHarm(-1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    worst = with_worst(harms, sizes, number, (1.0, -1.0))
    above = tails(worst, margin)
    upper = quantile(worst.take(np.array([0])), level)
    lower = -quantile(with_worst(-harms, sizes, number, (1.0,)), level)
    p, least = sign_p(harms, number)
    weighted = float(tails(worst.take(np.array([1])), 0.0).below[0]) if sizes.max() > 1 else p
    return ClusteredHarm(
        lower=float(lower[0]),
        upper=float(upper[0]),
        p=max(p, weighted),
        least=least,
        p_safe=float(max(LEAST, above.above[0])),
        p_beyond=float(max(LEAST, above.below[1])),
        design=_design(harms, sizes, number, flips),
    )


def alike(harm: ArrayLike, size: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Kinds of clusters in order of harm and size: harm, size, and how many are alike, each float (J,)."""
    harms, sizes = np.asarray(harm, np.int64).ravel(), np.asarray(size, np.int64).ravel()
    if harms.shape != sizes.shape or (sizes < 1).any() or (abs(harms) > sizes).any():
        raise ValueError("every cluster needs a size of at least 1 and a harm of at most its size")
    if not len(harms):
        return np.empty(0), np.empty(0), np.empty(0)
    base = int(sizes.max()) + 1
    kinds, number = np.unique((harms + base) * base + sizes, return_counts=True)
    return (kinds // base - base).astype(np.float64), (kinds % base).astype(np.float64), number.astype(np.float64)


def with_worst(harm: Floats, size: Floats, number: Floats, worst: tuple[float, ...]) -> Outcomes:
    """Outcomes (G, J + 1) with a pseudo-cluster more, in which all are lost (1.0) or gained (-1.0), one row each."""
    extra = extra_size(size, number)
    rows = [Outcomes.of([*number, 1.0], [*harm, sign * extra], [*size, extra]) for sign in worst]
    return Outcomes(*(np.concatenate([getattr(row, name) for row in rows]) for name in ("number", "harm", "size")))


def extra_size(size: Floats, number: Floats) -> float:
    """The size of the cluster that an example is in on average: sum size² / sum size."""
    return float((number * size**2).sum() / (number * size).sum())


def _design(harm: Floats, size: Floats, number: Floats, flips: int | None) -> float:
    """The variance of the harm over that of independent examples, each with the pseudo-cluster; at least 1."""
    examples, extra = float((number * size).sum()), extra_size(size, number)
    mean = float((number * harm).sum()) / examples
    changed = float((number * abs(harm)).sum()) if flips is None else float(flips)
    between = float((number * (harm - size * mean) ** 2).sum()) + extra**2
    return max(1.0, between / (max(changed - examples * mean**2, 0.0) + extra))
