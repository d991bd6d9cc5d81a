"""Many tests together: adjusted p values that make use of what discrete tests cannot reach.

A family is all groups under all compressed models: one array after the other. The chance of any false rejection at
adjusted p <= level is at most the level, whatever the tests depend on each other.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchbias.auditing.statistics.bounds import no_harm_p

Floats = NDArray[np.float64]

TIE = 1 + 1e-9
"""Two p values that differ by less are one: their last digits are rounding."""


def discrete_holm(lost: ArrayLike, discordant: ArrayLike) -> Floats:
    """Holm-adjusted exact McNemar p values, float (M,): other tests count with the p that they can attain.

    lost, discordant: int (M,), discordant = lost + gained. A test with so many discordant pairs has p <= x with the
    chance of its largest attainable p <= x, which is 0 where 2 ** -discordant > x (Westfall and Wolfinger, 1997).
    """
    b, m = (np.asarray(value, np.float64).ravel() for value in np.broadcast_arrays(lost, discordant))
    p = no_harm_p(b, m - b)
    order = np.argsort(p, kind="stable")
    values, first = np.unique(p[order], return_index=True)  # at each p the tests from this place on still count
    total = np.zeros(len(values))
    kinds, back = np.unique(m[order], return_inverse=True)
    for kind, places in zip(kinds, _places(back, len(kinds)), strict=True):
        left = len(places) - np.searchsorted(places, first)
        total += left * attainable(int(kind), values)
    stepped = np.maximum.accumulate(np.minimum(1.0, np.maximum(values, total)))
    return stepped[np.searchsorted(values, p)]


def tarone_holm(p: ArrayLike, least: ArrayLike) -> Floats:
    """Holm-adjusted p values, float (M,), that count only the tests which could reject at that p.

    least: of every test the least p that its margins allow; 0 for all of them makes it Holm's own. This is the
    monotone form of Hommel and Krummenauer (1998); Tarone's rule (1990) is not monotone.
    """
    values, lowest = (np.asarray(value, np.float64).ravel() for value in np.broadcast_arrays(p, least))
    order = np.argsort(values, kind="stable")
    able = np.sort(np.minimum(lowest, values))
    # all tests before this place could reject too, since their p values are not larger
    counted = np.searchsorted(able, values[order] * TIE, side="right") - np.arange(len(values))
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, values[order] * np.maximum(1, counted)))
    return adjusted


def attainable(discordant: int, p: Floats) -> Floats:
    """The largest p value <= p that McNemar's test can give with so many discordant pairs; 0 where it has none."""
    if not len(p):
        return p
    reach = math.ceil(math.sqrt(max(1.0, -math.log(max(p.min(), 1e-300))) * discordant / 2)) + 2  # Hoeffding's bound
    low, high = max(1, discordant // 2 - reach), min(discordant, discordant // 2 + reach)
    fewest = np.arange(low, high + 1, dtype=np.float64)
    chances = np.concatenate([[1.0], no_harm_p(fewest, discordant - fewest)])[::-1]  # rising; the first: no losses
    at = np.searchsorted(chances, p * TIE, side="right")
    return np.where(at > 0, chances[np.maximum(at - 1, 0)], 0.0)


def _places(back: NDArray[np.intp], kinds: int) -> list[NDArray[np.intp]]:
    """The places where each kind stands, rising."""
    order = np.argsort(back, kind="stable")
    return np.split(order, np.searchsorted(back[order], np.arange(1, kinds))) if kinds else []
