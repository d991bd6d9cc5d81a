"""The number of seeds that a difference takes, from the spread that the seeds of finished runs have. No torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from benchbias.statistics import behrens_fisher
from benchbias.statistics.estimates import FEWEST_SEEDS, LEVEL, Estimate
from benchbias.statistics.ranking import POWER

MOST_SEEDS = 1000
PLANNED = 0.05  # the difference that a plan is made for, as a share: five points


@dataclass(frozen=True)
class SeedsNeeded:
    """Seeds at which a difference is resolved at 5 % in 80 % of all repetitions, for a typical pair of rows.

    alone: by one comparison. together: by the first step of Holm's adjustment over all pairs. None where more than a
    thousand would not do: the test examples are too few.
    """

    pairs: int
    difference: float
    alone: int | None
    together: int | None


def seeds_needed(gaps: Iterable[Estimate | None], difference: float = PLANNED) -> SeedsNeeded | None:
    """The seeds that a true difference takes; gaps: paired differences that are there, of which the median counts.

    A new seed lowers the variance of the seeds, and not that of the test examples. None without a gap over seeds.
    """
    known = [gap for gap in gaps if gap is not None and gap.over_seeds and gap.half_width is not None and gap.sd]
    if not known:
        return None
    spread = statistics.median(gap.sd or 0.0 for gap in known)
    examples = statistics.median((1 - gap.seed_share) * gap.error**2 for gap in known)
    alone, together = (_least(spread, examples, difference, tests) for tests in (1, len(known)))
    return SeedsNeeded(len(known), difference, alone, together)


def _least(spread: float, examples: float, difference: float, tests: int) -> int | None:
    """The least number of seeds by bisection: more seeds always resolve less."""
    if not _resolves(MOST_SEEDS, spread, examples, difference, tests):
        return None
    low, high = FEWEST_SEEDS - 1, MOST_SEEDS  # too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        if _resolves(middle, spread, examples, difference, tests):
            high = middle
        else:
            low = middle
    return high


def _resolves(seeds: int, spread: float, examples: float, difference: float, tests: int) -> bool:
    variance = spread**2 / seeds + examples
    share = spread**2 / seeds / variance
    level, power = (
        float(behrens_fisher.quantile(share, seeds - 1, math.inf, probability))
        for probability in (1 - (1 - LEVEL) / (2 * tests), POWER)
    )
    return (level + power) * math.sqrt(variance) <= difference
