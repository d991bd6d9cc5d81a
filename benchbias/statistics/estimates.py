"""Estimates over seeds with Student's t intervals, from the spread of seeds and the draw of test examples. No torch.

Seeds share their test examples, so examples are drawn once for all seeds: an interval that resamples them for each
seed anew, or not at all, is too short (`benchmarks/interval_coverage.py` simulates both).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.statistics.influence import Measured, example_variance

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
MARGIN = 0.03  # differences within it are too small to matter, unless the user says otherwise


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds: its standard error, degrees of freedom and half the width of its 95 % interval.

    sd: the spread of the seeds (n - 1). What needs two seeds is None for n < 2.
    """

    mean: float
    sd: float | None
    n: int
    half_width: float | None
    standard_error: float | None = None
    freedom: float | None = None

    @property
    def parts(self) -> tuple[float, float | None, float | None, int]:
        """Numbers that a table of an analysis keeps: mean, standard error, degrees of freedom, n."""
        return self.mean, self.standard_error, self.freedom, self.n

    @staticmethod
    def of(mean: float, standard_error: float | None, freedom: float | None, n: int) -> Estimate:
        """Make it from `parts`."""
        if standard_error is None or freedom is None:
            return Estimate(mean, None, n, None)
        half = float(student_t(freedom)) * standard_error
        return Estimate(mean, None, n, half, standard_error, freedom)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The bounds of the two-sided interval at a level; NaN where there is none."""
        if self.standard_error is None or self.freedom is None:
            return math.nan, math.nan
        half = float(student_t(self.freedom, (1 + level) / 2)) * self.standard_error
        return self.mean - half, self.mean + half


@dataclass(frozen=True, eq=False)
class Spread:
    """An Estimate for many rows at once: arrays of one shape (...)."""

    mean: NDArray[Any]
    sd: NDArray[Any]
    standard_error: NDArray[Any]
    freedom: NDArray[Any]
    half_width: NDArray[Any]


def estimate(values: Sequence[float | Measured]) -> Estimate | None:
    """The mean of values, one a seed, with Student's t interval; None without values, or where one is NaN.

    The interval is of the seeds, and of the draw of test examples too where every value is a `Measured` that knows
    their influence.
    """
    return over_seeds([value if isinstance(value, Measured) else Measured(value) for value in values])


def over_seeds(measured: Sequence[Measured]) -> Estimate | None:
    """The mean of a metric over a row's seeds; None without seeds, and where it is undefined in one of them.

    The mean is rounded once, so that what a board prints depends neither on the order of seeds nor on the machine.
    """
    if not measured:
        return None
    found = spread_over_seeds(measured)
    seeds = len(measured)
    mean = math.fsum(float(one.value) for one in measured) / seeds
    if math.isnan(mean):
        return None
    sd = float(found.sd) if seeds > 1 else None
    if not found.half_width >= 0:
        return Estimate(mean, sd, seeds, None)
    return Estimate(mean, sd, seeds, float(found.half_width), float(found.standard_error), float(found.freedom))


def difference(ones: Mapping[int, Measured], others: Mapping[int, Measured]) -> Estimate | None:
    """The mean of ones - others over the seeds that both have: paired by seed and by example cluster.

    Test examples are paired only where both rows know their influence, on equal test splits, in every common seed;
    else the interval is of seeds alone.
    """
    return over_seeds([ones[seed] - others[seed] for seed in sorted(ones.keys() & others.keys())])


def spread_over_seeds(measured: Sequence[Measured]) -> Spread:
    """The mean over seeds, of shape (...), with its interval; where a seed has no influence, of seeds alone."""
    import numpy as np

    values = np.stack([np.asarray(one.value, dtype=float) for one in measured], axis=-1)  # (..., S)
    influences = [one.influence for one in measured if one.influence is not None]
    if len(influences) < len(measured):
        return spread(values)
    return spread(values, *example_variance(influences))


def spread(values: NDArray[Any], from_examples: float | NDArray[Any] = 0.0, clusters: int = 2) -> Spread:
    """Means over the last axis, (..., S) -> (...), with their intervals.

    The variance is s^2 / S + v: s^2 between seeds (S - 1), v = from_examples, a number or (...), the variance from
    the draw of test examples, estimated from so many clusters. The degrees of freedom are Satterthwaite's (1946).
    The sum is conservative: seeds with disjoint test examples (the folds of a cross-fitting) differ by their
    examples too, which s^2 holds already. Without any spread, such as 1 in every seed, the interval has no width;
    of one seed, or from one cluster, it is NaN.
    """
    import numpy as np

    first, seeds = values[..., :1], values.shape[-1]
    mean = first[..., 0] + (values - first).mean(axis=-1)  # exact where all values are equal
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.square(values - mean[..., None]).sum(axis=-1) / np.float64(seeds - 1)
        from_seeds, shared = between / seeds, np.asarray(from_examples)
        variance = from_seeds + shared
        freedom = variance**2 / (from_seeds**2 / np.float64(seeds - 1) + shared**2 / np.float64(clusters - 1))
    freedom = np.where(variance == 0, seeds - 1, freedom)
    error = np.sqrt(variance)
    return Spread(mean, np.sqrt(between), error, freedom, student_t(freedom) * error)


def student_t(freedom: float | NDArray[Any], probability: float = (1 + LEVEL) / 2) -> NDArray[Any]:
    """A quantile of Student's t: by default the one that bounds a two-sided 95 % interval."""
    from scipy.special import stdtrit

    quantile: NDArray[Any] = stdtrit(freedom, probability)
    return quantile


def p_value(gap: Estimate | None) -> float:
    """The two-sided p-value of a mean of zero, from 0 to 1; 1 without an interval.

    Without any spread it is 0, or 1 where the observed mean is zero.
    """
    from scipy.special import stdtr

    if gap is None or gap.standard_error is None or gap.freedom is None or gap.mean == 0:
        return 1.0
    if gap.standard_error == 0:
        return 0.0
    return float(2 * stdtr(gap.freedom, -abs(gap.mean) / gap.standard_error))


def equivalence_p_value(gap: Estimate | None, margin: float) -> float:
    """The p-value of a mean outside of (-margin, margin), from 0 to 1; 1 without an interval.

    By two one-sided t tests (Schuirmann, 1987). Raises ValueError for a margin that is not positive.
    """
    from scipy.special import stdtr

    if not margin > 0:
        raise ValueError(f"a margin of equivalence is positive, not {margin}")
    if gap is None or gap.standard_error is None or gap.freedom is None:
        return 1.0
    room = margin - abs(gap.mean)  # to the nearer bound: the test that is harder to pass
    if gap.standard_error == 0:
        return 0.0 if room > 0 else 1.0
    return float(stdtr(gap.freedom, -room / gap.standard_error))
