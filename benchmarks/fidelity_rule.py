"""When a published number counts as reproduced. The rule was fixed before any number was held against it, but for
WIDEST: the first numbers showed intervals that would hold almost any accuracy.

A published number is the mean of k runs, whose spread is rarely printed; ours is that of n seeds. If both are draws of
one experiment, with normal noise between runs, the published mean falls within

    mean of ours ± t(n - 1) s sqrt(1/n + 1/k)

in 95 % of cases: Student's prediction interval for the mean of k further runs. s is the spread of our seeds (n - 1).
Half of the last printed digit is added on both sides, as the published number has been rounded.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchbias.errors import UsageError
from benchbias.statistics.estimates import Estimate, student_t

WIDEST = 10.0  # points of accuracy, half of an interval: one that is wider tells nothing by holding a number
FEWEST_SEEDS = 3  # with two, t is 12.7: nearly every number would count as reproduced
Verdict = Literal["reproduced", "not reproduced", "unresolved", "too few seeds", "not attempted", "impossible"]
NUMBER = re.compile(r"[-+]?\d+(?:\.(\d+))?")


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


@dataclass(frozen=True)
class Interval:
    """Where the mean of some further runs is expected, in the unit of the values that it was made of."""

    low: float
    high: float

    def holds(self, printed: Printed) -> bool:
        """Whether a number that is rounded to the printed one may lie inside."""
        slack = printed.rounding + 1e-9 * max(1.0, abs(printed.value))  # sums of binary fractions are not exact
        return self.low - slack <= printed.value <= self.high + slack


def prediction(values: Sequence[float], runs: int) -> Interval:
    """The 95 % prediction interval for a mean of `runs` further runs. Raises ValueError for fewer than two values."""
    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        raise ValueError("a prediction interval takes two values")
    half = float(student_t(n - 1)) * statistics.stdev(values) * math.sqrt(1 / n + 1 / runs)
    return Interval(mean - half, mean + half)


def verdict_of_number(printed: Printed, values: Sequence[float], runs: int, widest: float = math.inf) -> Verdict:
    """The verdict on a published mean of `runs` runs beside the values of our seeds, in the printed unit.

    widest: half of the widest interval that can reproduce; a wider one that holds the number leaves it unresolved.
    """
    if len(values) < FEWEST_SEEDS:
        return "too few seeds"
    interval = prediction(values, runs)
    if not interval.holds(printed):
        return "not reproduced"
    return "reproduced" if interval.high - interval.low <= 2 * widest else "unresolved"


def verdict_of_order(gap: Estimate | None, expects: Literal["higher", "lower"]) -> Verdict:
    """The verdict on a published ordering by our paired difference: told at 5 % in its direction, the other or none."""
    if gap is None or gap.half_width is None or gap.n < FEWEST_SEEDS:
        return "too few seeds"
    if abs(gap.mean) <= gap.half_width:
        return "unresolved"
    return "reproduced" if (gap.mean > 0) == (expects == "higher") else "not reproduced"
