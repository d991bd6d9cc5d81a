"""Intervals that stay inside what a quantity can be, and that have a width where nothing was seen to vary. No torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def score_interval(
    share: float, standard_error: float, critical: float, clusters: float, most: float
) -> tuple[float, float]:
    """The bounds of a share from 0 to 1 by Wilson's score (1927).

    The number of examples is the effective one (Korn and Graubard, 1998): so many independent ones would give this
    standard error. It is at most `most`, and the number of example clusters where nothing was seen to vary.
    critical: a quantile, such as 1.96.
    """
    number = clusters
    if 0 < share < 1 and standard_error > 0:
        number = min(share * (1 - share) / standard_error**2, most)
    square = critical**2 / number
    half = critical * math.sqrt(share * (1 - share) / number + square / (4 * number))
    lower, upper = ((share + square / 2 + side) / (1 + square) for side in (-half, half))
    return (0.0 if share == 0 else max(0.0, lower)), (1.0 if share == 1 else min(1.0, upper))


def least_variance(bounds: tuple[float, float], clusters: NDArray[Any] | float) -> NDArray[Any] | float:
    """The variance that a difference has at least, from so many example clusters; 0 where it is not bounded.

    Bonett and Price (2012): two more clusters, one with the largest difference and one with the smallest. A pair of
    rows that agrees on every example of few may still differ on the next one.
    """
    low, high = bounds
    if not (low < 0 < high) or math.isinf(low) or math.isinf(high):
        return 0.0
    return 2 * ((high - low) / 2 / (clusters + 2)) ** 2
