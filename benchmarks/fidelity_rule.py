"""When a published number counts as reproduced.

A published number is the mean of k runs, whose spread is rarely printed; ours is that of n seeds. If both are draws of
one experiment, with normal noise between runs, the published mean falls within

    mean of ours ± t(n - 1) s sqrt(1/n + 1/k)

in 95 % of cases: Student's prediction interval for the mean of k further runs. s is the spread of our seeds (n - 1).
What the published number may have lost by rounding is added on both sides. The interval is clipped to what the quantity
can be. Where one trained network is pruned at many places, the numbers are drops: level less level before pruning.

The rule for levels was fixed before any number was held against it. WIDEST, clipping and drops came after.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from scipy import stats

from benchbias.errors import UsageError
from benchbias.statistics.estimates import Estimate, p_value

WIDEST = 10.0  # points of accuracy, half of an interval: one that is wider tells nothing by holding a number
FEWEST_SEEDS = 3  # with two, t is 12.7: nearly every number would count as reproduced
Verdict = Literal[
    "reproduced",
    "not reproduced",
    "unresolved",
    "holds on other data",
    "fails on other data",
    "too few seeds",
    "not attempted",
    "impossible",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Expects = Literal["higher", "lower", "stable"]
ELSEWHERE: Mapping[Verdict, Verdict] = {
    "reproduced": "holds on other data",
    "not reproduced": "fails on other data",
}
NUMBER = re.compile(r"[-+]?\d+(?:\.(\d+))?")
ANYTHING = (-math.inf, math.inf)


@dataclass(frozen=True)
class Printed:
    """A number as it is printed, in the printed unit. slack: by how much it may be off where it was read off a plot."""

    value: float
    decimals: int
    slack: float = 0.0

    @staticmethod
    def of(text: str, where: str, slack: float = 0.0) -> Printed:
        """Raises UsageError for what is no plain decimal number."""
        found = NUMBER.fullmatch(text)
        if found is None:
            raise UsageError(f"{where}: expected a number as printed, such as 45.7, got {text!r:.80}")
        return Printed(float(text), len(found[1] or ""), slack)

    @property
    def rounding(self) -> float:
        """The largest difference to the number before it was rounded, or read."""
        return max(self.slack, 0.5 * 10.0**-self.decimals)

    def less(self, before: Printed) -> Printed:
        """The change from a level before: it may be off by what both levels may be off."""
        slack = self.rounding + before.rounding
        return Printed(self.value - before.value, max(self.decimals, before.decimals), slack)


@dataclass(frozen=True)
class Interval:
    """The range in which the mean of some further runs is expected, in the unit of the values it was made of."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    def holds(self, printed: Printed) -> bool:
        """Whether a number that is rounded to the printed one may lie inside."""
        slack = printed.rounding + 1e-9 * max(1.0, abs(printed.value))  # sums of binary fractions are not exact
        return self.low - slack <= printed.value <= self.high + slack

    def clipped(self, low: float, high: float) -> Interval:
        """The part within bounds; the nearer bound alone where it lies outside."""
        return Interval(min(max(self.low, low), high), max(min(self.high, high), low))


def prediction(values: Sequence[float], runs: int) -> Interval:
    """The 95 % prediction interval for a mean of `runs` further runs. Raises ValueError for fewer than two values."""
    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        raise ValueError("a prediction interval takes two values")
    half = float(stats.t.ppf(0.975, n - 1)) * statistics.stdev(values) * math.sqrt(1 / n + 1 / runs)
    return Interval(mean - half, mean + half)


def verdict_of_number(
    printed: Printed,
    values: Sequence[float],
    runs: int,
    widest: float = math.inf,
    bounds: tuple[float, float] = ANYTHING,
) -> Verdict:
    """The verdict on a published mean of `runs` runs beside the values of our seeds, in the printed unit.

    widest: half of the widest interval that can reproduce; a wider one that holds the number leaves it unresolved.
    bounds: the least and the largest that the number can be. For drops, `printed` and `values` are drops.
    """
    if len(values) < FEWEST_SEEDS:
        return "too few seeds"
    interval = prediction(values, runs).clipped(*bounds)
    if not interval.holds(printed):
        return "not reproduced"
    return "reproduced" if interval.width <= 2 * widest else "unresolved"


def bounds_of_drop(before: Printed, top: float) -> tuple[float, float]:
    """The least and the largest change that a level leaves room for, from 0 to `top`."""
    return -before.value, top - before.value


def bounds_of(gap: Estimate | None) -> Interval | None:
    """The interval of a difference at 95 %, as a fraction; None where there is none: also where nothing varied."""
    if gap is None or gap.half_width is None or gap.n < FEWEST_SEEDS:
        return None
    return Interval(*gap.interval())


def verdict_of_order(gap: Estimate | None, expects: Expects) -> Verdict:
    """The verdict on a published ordering by our paired difference: told at 5 % in its direction, the other or none.

    Of a difference that is the same in every seed, and has no interval, the sign test tells the direction.
    """
    if gap is None or gap.n < FEWEST_SEEDS:
        return "too few seeds"
    if p_value(gap) > 0.05:
        return "unresolved"
    return "reproduced" if (gap.mean > 0) == (expects == "higher") else "not reproduced"


@dataclass(frozen=True)
class Size:
    """A published size of a difference, in points, signed as ours: from low to high, each off by up to `rounding`.

    runs: of how many runs it is the mean; None where it is said in general.
    """

    low: float
    high: float
    rounding: float = 0.0
    runs: int | None = None


def interval_of_size(differences: Sequence[float], gap: Estimate | None, size: Size) -> Interval | None:
    """The interval that a size is held against, in points; None for fewer than three seeds.

    It is the prediction interval for as many runs as the size is of; for a size said in general that of our mean, and
    None where our difference has none.
    """
    if gap is None or len(differences) < FEWEST_SEEDS:
        return None
    if size.runs is not None:
        return prediction(differences, size.runs).clipped(-100.0, 100.0)
    mean = bounds_of(gap)
    return None if mean is None else Interval(100 * mean.low, 100 * mean.high).clipped(-100.0, 100.0)


def verdict_of_size(
    differences: Sequence[float], gap: Estimate | None, size: Size, expects: Expects, widest: float = WIDEST
) -> Verdict:
    """The verdict on a difference with a size. differences: ours by seed, in points; gap: their mean, as a fraction.

    Not reproduced: our interval lies outside of the size, or the direction is told to be the other. Reproduced: the
    direction is told, the interval meets the size, and its half is at most `widest`. What is said to be `stable` is
    reproduced where the whole interval lies inside. Else unresolved; so is a difference without an interval.
    """
    if gap is None or len(differences) < FEWEST_SEEDS:
        return "too few seeds"
    interval = interval_of_size(differences, gap, size)
    if interval is None:
        return "unresolved"
    low, high = size.low - size.rounding - 1e-9, size.high + size.rounding + 1e-9
    if interval.high < low or interval.low > high:
        return "not reproduced"
    if expects == "stable":
        return "reproduced" if low <= interval.low and interval.high <= high else "unresolved"
    order = verdict_of_order(gap, expects)
    return "unresolved" if order == "reproduced" and interval.width > 2 * widest else order


def elsewhere(verdict: Verdict) -> Verdict:
    """The verdict where our data are not the paper's: agreement there reproduces nothing, nor does its lack."""
    return ELSEWHERE.get(verdict, verdict)


def rate(failed: int, runs: int) -> tuple[float, float]:
    """The exact 95 % interval of a rate (Clopper and Pearson, 1934), as fractions."""
    from scipy.stats import binomtest

    found = binomtest(failed, runs).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)
