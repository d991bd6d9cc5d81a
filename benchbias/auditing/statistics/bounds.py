"""Bounds and tests of the harm of one group: n examples, some lost and some gained.

Harm is (lost - gained) / n. The bounds are Gaffke's (2005) for the mean of a bounded outcome: the mean under random
weights after one example more with the worst outcome. Three outcomes make that X - Y with a Dirichlet (X, Z, Y): the
upper bound is its quantile under Dirichlet(lost + 1, n - lost - gained, gained), the lower one its quantile under
Dirichlet(lost, n - lost - gained, gained + 1). Without gains the upper one is that of Clopper and Pearson (1934). The
lower one passes 0 exactly where the exact one-sided test of McNemar (1947) rejects. That they never miss more often
than their level is a conjecture in general; enumeration confirms it (tests/auditing).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from benchbias.auditing.statistics.weighted import LEAST, Outcomes, Tails, quantile, tails

Floats = NDArray[np.float64]

OFF_ZERO = 1e-15
"""A bound that is 0 to all digits although the test just rejects is told as this far from it."""


def harm_bounds(lost: ArrayLike, gained: ArrayLike, n: ArrayLike, level: float = 0.05) -> tuple[Floats, Floats]:
    """One-sided lower and upper bounds of the harm, each at 1 - level: shares from -1 to 1, of the broadcast shape.

    lost, gained, n: numbers of examples. Without examples the bounds are -1 and 1. Raises ValueError for numbers that
    no group has, and for a level outside 0 to 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: between 0 and 1 is asked for")
    counts = _counts(lost, gained, n)
    shape = counts.shape[:-1]
    kinds, back = np.unique(counts.reshape(-1, 3), axis=0, return_inverse=True)
    b, c, size = kinds.T
    upper = quantile(_outcomes(b + 1, c, size - b - c), level)
    lower = -quantile(_outcomes(c + 1, b, size - b - c), level)
    lower = np.where(no_harm_p(b, c) <= level, np.maximum(lower, OFF_ZERO), np.minimum(lower, 0.0))
    upper = np.where(no_harm_p(c, b) <= level, np.minimum(upper, -OFF_ZERO), np.maximum(upper, 0.0))
    back = back.reshape(shape)
    return lower[back], upper[back]


def no_harm_p(lost: ArrayLike, gained: ArrayLike) -> Floats:
    """p of H0: harm <= 0, by the exact one-sided test of McNemar; of the broadcast shape, never 0."""
    b, c = np.broadcast_arrays(np.asarray(lost, np.float64), np.asarray(gained, np.float64))
    p = special.betainc(np.maximum(b, 1.0), c + 1.0, 0.5)
    steps = np.exp2(np.minimum(b + c, 40.0))
    p = np.where(b + c <= 40, np.rint(p * steps) / steps, p)  # to the last bit, so that ties are ties
    return np.where(b == 0, 1.0, np.maximum(p, LEAST))


def safe_p(lost: ArrayLike, gained: ArrayLike, n: ArrayLike, margin: ArrayLike) -> Floats:
    """p of H0: harm >= margin (a share): the group is safe where it is small. Of the broadcast shape, never 0."""
    counts = _counts(lost, gained, n)
    b, c, size = np.moveaxis(counts, -1, 0)
    return _tails(b + 1, c, size, margin, above=True)


def beyond_p(lost: ArrayLike, gained: ArrayLike, n: ArrayLike, margin: ArrayLike) -> Floats:
    """p of H0: harm <= margin (a share): the harm is beyond it where it is small. Of the broadcast shape, never 0."""
    counts = _counts(lost, gained, n)
    b, c, size = np.moveaxis(counts, -1, 0)
    return _tails(b, c + 1, size, margin, above=False)


def _counts(lost: ArrayLike, gained: ArrayLike, n: ArrayLike) -> Floats:
    """float (..., 3): lost, gained and n of every group. Raises ValueError where no group has them."""
    counts = np.stack(np.broadcast_arrays(*(np.asarray(value, np.float64) for value in (lost, gained, n))), axis=-1)
    possible = (counts >= 0).all(-1) & (counts[..., 0] + counts[..., 1] <= counts[..., 2]) & np.isfinite(counts[..., 2])
    if not possible.all():
        raise ValueError(f"lost, gained and n of a group are {counts[~possible][0].tolist()}: no group has these")
    return counts


def _outcomes(lost: Floats, gained: Floats, same: Floats) -> Outcomes:
    """The Dirichlet weights of groups (G,): harm 1, 0 and -1."""
    return Outcomes.of(np.stack([lost, same, gained], axis=-1), (1.0, 0.0, -1.0), 1.0)


def _tails(lost: Floats, gained: Floats, n: Floats, margin: ArrayLike, *, above: bool) -> Floats:
    """The chance of a harm above or below the margin, where lost and gained hold the example more, n does not."""
    shape = np.broadcast_shapes(lost.shape, np.shape(margin))
    flat = [np.broadcast_to(value, shape).ravel() for value in (lost, gained, n + 1, np.asarray(margin, np.float64))]
    kinds, back = np.unique(np.stack(flat, axis=-1), axis=0, return_inverse=True)
    b, c, size, at = kinds.T
    found: Tails = tails(_outcomes(b, c, size - b - c), at)
    return np.maximum(found.above if above else found.below, LEAST)[back.reshape(shape)]
