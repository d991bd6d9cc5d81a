"""Estimates over seeds with intervals from the spread of seeds and the draw of test examples. No torch.

Seeds share their test examples, so examples are drawn once for all seeds: an interval that resamples them for each
seed anew, or not at all, is too short (`benchmarks/interval_coverage.py` simulates both). Both errors are added as they
are (`behrens_fisher`), and intervals stay inside what the quantity can be (`bounds`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchbias.statistics import behrens_fisher
from benchbias.statistics.bounds import least_variance, score_interval
from benchbias.statistics.influence import (
    UNBOUNDED,
    Influence,
    Measured,
    drawn_clusters,
    mean_influence,
    variance_of_draw,
)
from benchbias.statistics.seed_means import BIAS_ERROR as BIAS_ERROR
from benchbias.statistics.seed_means import SeedMean, seed_means
from benchbias.statistics.spread import FEWEST_SEEDS as FEWEST_SEEDS
from benchbias.statistics.spread import LEVEL as LEVEL
from benchbias.statistics.spread import Spread, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARGIN = 0.03  # differences within it are too small to matter, unless the user says otherwise


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds: its standard error, degrees of freedom and half the width of its 95 % interval.

    sd: the spread of the seeds (n - 1), None for one. Below three seeds the interval is of the test examples alone,
    for these seeds; half_width is None where they are not known either, and where nothing was seen to vary.
    freedom: Satterthwaite's, which describes. seed_share: of the variance, from 0 to 1. example_freedom, clusters: of
    the test examples that decide the mean. bounds: what it cannot leave.
    """

    mean: float
    sd: float | None
    n: int
    half_width: float | None
    standard_error: float | None = None
    freedom: float | None = None
    seed_share: float = 1.0
    example_freedom: float = math.inf
    clusters: float | None = None
    bounds: tuple[float, float] = UNBOUNDED

    @property
    def parts(self) -> tuple[float, float | None, float | None, int]:
        """Numbers that a table of an analysis keeps: mean, standard error, degrees of freedom, n."""
        return self.mean, self.standard_error, self.freedom, self.n

    @staticmethod
    def of(mean: float, standard_error: float | None, freedom: float | None, n: int) -> Estimate:
        """Make it from `parts`."""
        if standard_error is None or freedom is None:
            return Estimate(mean, None, n, None)
        found = Estimate(mean, None, n, None, standard_error, freedom, _seed_share(freedom, n))
        half = found.critical((1 + LEVEL) / 2) * found.error if found.error else None
        return replace(found, half_width=half)

    @property
    def over_seeds(self) -> bool:
        """Whether the interval, if there is one, is of the seeds too."""
        return self.n >= FEWEST_SEEDS

    @property
    def lower(self) -> float | None:
        """The lower bound of the 95 % interval; None where there is none."""
        return None if self.half_width is None else self.interval()[0]

    @property
    def upper(self) -> float | None:
        """The upper bound of the 95 % interval; None where there is none."""
        return None if self.half_width is None else self.interval()[1]

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The bounds of the two-sided interval at a level; NaN where there is none.

        A share of examples has Wilson's bounds, which lie inside 0 and 1; of a difference what is impossible is cut.
        """
        if self.half_width is None:
            return math.nan, math.nan
        critical, (low, high) = self.critical((1 + level) / 2), self.bounds
        if self.is_share:
            share, error = self.mean / high, self.error / high
            clusters = self.clusters or math.inf
            lower, upper = score_interval(share, error, critical, clusters, clusters * self.n)
            return lower * high, upper * high
        half = critical * self.error
        return max(low, self.mean - half), min(high, self.mean + half)

    @property
    def is_share(self) -> bool:
        """Whether it is a share of examples, from 0 to a bound that it does not exceed."""
        low, high = self.bounds
        return low == 0 and self.mean <= high < math.inf

    @property
    def error(self) -> float:
        """The standard error of what the interval is of: below three seeds of the test examples alone."""
        whole = self.standard_error or 0.0
        return whole if self.over_seeds else whole * math.sqrt(1 - self.seed_share)

    def critical(self, probability: float) -> float:
        """The quantile, in standard errors, that bounds the error of the mean with a probability."""
        share, seeds = self._seeds()
        return behrens_fisher.one_quantile(float(share), float(seeds), float(self.example_freedom), probability)

    def beyond(self, distance: float) -> float:
        """The probability that the error of the mean exceeds a distance (one-sided); NaN without an interval."""
        if not self.error:
            return math.nan
        share, seeds = self._seeds()
        return behrens_fisher.tail(distance / self.error, share, seeds, self.example_freedom)

    def less(self, number: float) -> Estimate:
        """The estimate of the mean less a number that is known exactly."""
        low, high = self.bounds
        return replace(self, mean=self.mean - number, bounds=(low - number, high - number))

    def _seeds(self) -> tuple[float, float]:
        """The seeds' share of the variance and its degrees of freedom: Welch's where two samples of models differ."""
        if not self.over_seeds or self.freedom is None:
            return 0.0, math.inf
        fewer = math.isinf(self.example_freedom) and self.freedom < self.n - 1
        return self.seed_share, self.freedom if fewer else self.n - 1.0


def _seed_share(freedom: float, n: int) -> float:
    """The share of the seeds in a variance of Satterthwaite's degrees of freedom, were all else known exactly."""
    return min(1.0, math.sqrt((n - 1) / freedom))


def estimate(values: Sequence[float | Measured]) -> Estimate | None:
    """The mean of values, one a seed, with Student's t interval; None without values, or where one is NaN.

    The interval is of the seeds, and of the draw of test examples too where every value is a `Measured` that knows
    their influence.
    """
    return over_seeds([value if isinstance(value, Measured) else Measured(value) for value in values])


def over_seeds(measured: Sequence[Measured]) -> Estimate | None:
    """The mean of a metric over a row's seeds; None without seeds, and where it is undefined in one of them.

    The bias of a least is taken off. The mean is rounded once, so that what a board prints depends neither on the
    order of seeds nor on the machine.
    """
    return all_over_seeds([measured])[0]


def all_over_seeds(rows: Sequence[Sequence[Measured]]) -> list[Estimate | None]:
    """`over_seeds` of many rows at once: the same to the last bit, and faster."""
    known = [at for at, row in enumerate(rows) if row]
    found: list[Estimate | None] = [None] * len(rows)
    for at, one in zip(known, seed_means([rows[at] for at in known]), strict=True):
        found[at] = _estimate(rows[at], one)
    return found


def _estimate(measured: Sequence[Measured], found: SeedMean) -> Estimate | None:
    """The estimate of one row, from what its seeds say of the error of their mean."""
    seeds, bounds = len(measured), measured[0].bounds
    mean = math.fsum(float(one.value) - float(one.bias) for one in measured) / seeds
    if math.isnan(mean):
        return None
    mean, sd = min(max(mean, bounds[0]), bounds[1]), found.sd if seeds > 1 else None
    if not found.half_width > 0:
        still = found.standard_error == 0 and not sd and (found.clusters is not None or seeds > 1)
        return (
            _still(mean, sd, seeds, found.clusters, bounds) if still else Estimate(mean, sd, seeds, None, bounds=bounds)
        )
    error, share = found.standard_error, min(1.0, found.from_seeds / found.standard_error**2)
    return Estimate(
        *(mean, sd, seeds, found.half_width, error, found.freedom, share, found.example_freedom, found.clusters, bounds)
    )


def _still(mean: float, sd: float | None, seeds: int, clusters: float | None, bounds: tuple[float, float]) -> Estimate:
    """A mean that nothing was seen to vary: a share of known examples has an interval by their number."""
    few = clusters is None or clusters < 2
    examples = math.inf if few or clusters is None else clusters - 1
    found = Estimate(mean, sd, seeds, None, 0.0, seeds - 1.0, 0.0, examples, clusters, bounds)
    if few or not found.is_share:
        return found
    low, high = replace(found, half_width=0.0).interval()
    return replace(found, half_width=(high - low) / 2)


def difference(ones: Mapping[int, Measured], others: Mapping[int, Measured]) -> Estimate | None:
    """The mean of ones - others over the seeds that both have: paired by seed and by example cluster.

    Test examples are paired only where both rows know their influence, on equal test splits, in every common seed;
    else the interval is of seeds alone.
    """
    return over_seeds([ones[seed] - others[seed] for seed in sorted(ones.keys() & others.keys())])


def spread_over_seeds(measured: Sequence[Measured]) -> Spread:
    """The mean over seeds, of shape (...), with its interval; where a seed has no influence, of seeds alone.

    The bias of a least is taken off every seed's value.
    """
    import numpy as np

    values = np.stack([np.asarray(one.value - one.bias, dtype=float) for one in measured], axis=-1)  # (..., S)
    influences = [one.influence for one in measured if one.influence is not None]
    if len(influences) < len(measured):
        return spread(values)
    drawn = drawn_clusters(influences)
    clusters, variance = deciding_clusters(influences, len(drawn)), variance_of_draw(mean_influence(influences, drawn))
    bias = sum(np.asarray(one.bias, dtype=float) for one in measured) / len(measured)
    doubt = np.square(BIAS_ERROR * bias)
    found = spread(values, variance + least_variance(measured[0].bounds, clusters) + doubt, clusters)
    return replace(found, clusters=clusters)


def deciding_clusters(influences: Sequence[Influence], drawn: int) -> NDArray[Any]:
    """The number of example clusters that decide the mean over seeds, (...); drawn: how many any of the seeds tests.

    Seeds that test the same examples count them once; those that test others add theirs.
    """
    import numpy as np

    each = sum(len(one.cluster) for one in influences) / len(influences)
    size = np.mean([np.asarray(one.clusters, dtype=float) for one in influences], axis=0)
    return np.asarray(size * drawn / each)


def p_value(gap: Estimate | None) -> float:
    """The two-sided p-value of a mean of zero, above 0 to 1; 1 without an interval, and below three seeds.

    By Behrens-Fisher (`behrens_fisher`). Where nothing was seen to vary it is that of the sign test.
    """
    if gap is None or gap.n < FEWEST_SEEDS or gap.mean == 0:
        return 1.0
    if gap.half_width is None or not gap.error:
        return 2.0 ** (1 - gap.n) if gap.standard_error == 0 else 1.0
    return min(1.0, 2 * gap.beyond(abs(gap.mean)))


def equivalence_p_value(gap: Estimate | None, margin: float) -> float:
    """The p-value of a mean outside of (-margin, margin), above 0 to 1; 1 without an interval, and below three seeds.

    By two one-sided tests (Schuirmann, 1987). Raises ValueError for a margin that is not positive.
    """
    if not margin > 0:
        raise ValueError(f"a margin of equivalence is positive, not {margin}")
    if gap is None or gap.half_width is None or not gap.error or gap.n < FEWEST_SEEDS:
        return 1.0
    return gap.beyond(margin - abs(gap.mean))  # to the nearer bound: the test that is harder to pass
