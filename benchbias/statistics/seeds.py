"""The number of seeds that a difference takes, from the spread that the seeds of finished runs have. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchbias.statistics import behrens_fisher
from benchbias.statistics.estimates import FEWEST_SEEDS, LEVEL
from benchbias.statistics.family import Gaps
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


def seeds_needed(families: Sequence[Gaps], difference: float = PLANNED) -> SeedsNeeded | None:
    """The seeds that a true difference takes; families: paired differences that are there, of which the median counts.

    A new seed lowers the variance of the seeds, and not that of the test examples. None without a gap over seeds.
    """
    import numpy as np

    known = [(gaps.error > 0) & (gaps.seeds >= FEWEST_SEEDS) & (gaps.sd > 0) for gaps in families]
    pairs = sum(int(here.sum()) for here in known)
    if not pairs:
        return None
    spreads = [gaps.sd[here] for gaps, here in zip(families, known, strict=True)]
    shares = [((1 - gaps.seed_share) * gaps.error**2)[here] for gaps, here in zip(families, known, strict=True)]
    spread, examples = (float(np.median(np.concatenate(parts))) for parts in (spreads, shares))
    alone, together = (_least(spread, examples, difference, tests) for tests in (1, pairs))
    return SeedsNeeded(pairs, difference, alone, together)


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
