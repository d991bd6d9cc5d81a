"""The most losses with which a group of n examples, so many of which flipped, is shown safe."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from benchbias.auditing.statistics.bounds import safe_p

Floats = NDArray[np.float64]
Counts = Callable[[Floats, NDArray[np.intp]], tuple[Floats, Floats, Floats]]
"""Lost, gained and n of the rows with these numbers, from their losses."""


def most_lost(discordant: ArrayLike, n: ArrayLike, margin: float, level: float) -> Floats:
    """The largest whole number of losses among `discordant` flips with safe_p <= level; -1 where none is; by bisection.

    discordant, n: whole numbers that broadcast.
    """
    flips, size = np.broadcast_arrays(np.asarray(discordant, np.float64), np.asarray(n, np.float64))
    low, high = np.full(flips.shape, -1.0), flips + 1  # low is safe, high is not
    while (high - low > 1).any():
        middle = np.where(high - low > 1, np.floor((low + high) / 2), np.maximum(low, 0.0))
        safe = safe_p(middle, flips - middle, size, margin) <= level
        open_ = high - low > 1
        low, high = np.where(open_ & safe, middle, low), np.where(open_ & ~safe, middle, high)
    return low


def safe_losses(discordant: ArrayLike, n: ArrayLike, margin: float, level: float) -> Floats:
    """The losses, not whole, at which safe_p is the level: from 0 to all of the flips. It is smooth in both numbers."""
    flips, size = np.broadcast_arrays(np.asarray(discordant, np.float64), np.asarray(n, np.float64))
    z = -float(special.ndtri(level))
    start = (size * margin - 1 - z * np.sqrt(flips + 1) + flips) / 2
    return _root(lambda b, rows: (b, flips.ravel()[rows] - b, size.ravel()[rows]), start, flips, margin, level)


def all_safe(n: ArrayLike, margin: float, level: float) -> Floats:
    """The flips, not whole, that may all be losses while safe_p is at most the level; 0 where none may."""
    size = np.asarray(n, np.float64)
    z = -float(special.ndtri(level))
    start = size * margin - 1 - z * np.sqrt(size * margin * (1 - margin) + 1)
    return _root(lambda b, rows: (b, np.zeros_like(b), size.ravel()[rows]), start, size, margin, level)


def _root(counts: Counts, start: Floats, most: Floats, margin: float, level: float) -> Floats:
    """The losses from 0 to `most` at which safe_p is the level, by secants of its normal quantile within brackets."""
    low, high = np.zeros(start.size), most.ravel().copy()
    found, todo = np.clip(start.ravel(), low, high), np.arange(start.size)
    wanted = float(special.ndtri(level))
    before, before_z = np.full(start.size, np.nan), np.full(start.size, np.nan)
    for _ in range(50):
        here = found[todo]
        chance = safe_p(*counts(here, todo), margin)
        z = special.ndtri(np.minimum(chance, 1 - 1e-16)) - wanted
        low[todo], high[todo] = np.where(z < 0, here, low[todo]), np.where(z < 0, high[todo], here)
        with np.errstate(all="ignore"):
            slope = (z - before_z[todo]) / (here - before[todo])
        step = here - z / np.where(np.isfinite(slope) & (slope > 0), slope, 1 / np.sqrt(here + 1))
        before[todo], before_z[todo] = here, z
        near = (abs(step - here) < 1e-7) | (high[todo] - low[todo] < 1e-7)
        inside = (step > low[todo]) & (step < high[todo])
        found[todo] = np.where(near, here, np.where(inside, step, (low[todo] + high[todo]) / 2))
        todo = todo[~near]
        if not len(todo):
            break
    return found.reshape(start.shape)
