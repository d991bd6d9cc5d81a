"""A ratio of two means over models: its estimate, its interval by Fieller's theorem, and its side of 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.optimize import brentq

if TYPE_CHECKING:
    from .weighing import Influence

TINY = 1e-12  # squares of balances below it are rounding
DOUBLINGS = 60  # of the distance at which a bound is looked for


@dataclass(frozen=True, eq=False)
class Ratio:
    """numerator / denominator; the denominator is a mean of squares, whose expected value is not negative."""

    numerator: Influence
    denominator: Influence

    def told(self, level: float) -> bool:
        """Whether the denominator differs from zero, so that the ratio's interval at this level is bounded."""
        return self.denominator.interval(level)[0] > 0

    def linearised(self) -> Influence:
        """The ratio by the delta method."""
        return self.numerator.over(self.denominator)

    def interval(self, level: float) -> tuple[float, float] | None:
        """All a that a t test of numerator - a denominator = 0 does not reject (Fieller, 1954); None if unbounded."""
        if not self.told(level):
            return None
        middle = self.numerator.value / self.denominator.value
        step = self.linearised().estimate().standard_error
        bounds = [self._bound(middle, sign * (step or 0.0), level) for sign in (-1, 1)]
        return None if bounds[0] is None or bounds[1] is None else (bounds[0], bounds[1])

    def side(self, level: float) -> str:
        """`>` or `<` where the test rejects a = 1, else `?`. It needs no denominator that differs from zero."""
        gap = self.numerator.minus(self.denominator)
        if abs(gap.value) <= TINY:
            return "?"
        low, high = gap.interval(level)
        return ">" if low > 0 else "<" if high < 0 else "?"

    def _excess(self, a: float, level: float) -> float:
        """The distance of numerator - a denominator from 0, less what noise allows: below zero within the interval."""
        gap = self.numerator.minus(self.denominator, a)
        low, high = gap.interval(level)
        return abs(gap.value) - (high - low) / 2

    def _bound(self, middle: float, step: float, level: float) -> float | None:
        if step == 0:
            return middle
        for _ in range(DOUBLINGS):
            if self._excess(middle + step, level) > 0:
                return float(brentq(self._excess, middle, middle + step, args=(level,), xtol=1e-9))
            step *= 2
        return None
