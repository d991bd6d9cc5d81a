"""Examples that would decide, and harm that can be found: exact power, before or after an audit.

A group with n examples of which a share flips is shown safe where `safe_p` is at most the level. For so many lost and
gained examples there is a least n from which on that is so: these frontiers do not depend on how often models disagree.
The power is the chance of counts within the frontier. It has teeth, since counts are whole: one more example can lower
it a little.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy import special

from benchbias.auditing.statistics.bounds import no_harm_p
from benchbias.auditing.statistics.frontier import all_safe, most_lost, safe_losses

Floats = NDArray[np.float64]

TAIL = 7.0  # standard deviations of the number of flips that count
FINE = 30.0  # where a standard deviation holds more numbers of flips, evenly spaced ones stand for all
SMOOTH = 200.0  # losses that the margin is, from which on the power has no teeth and normal counts give 0.80 to 0.81
MOST_SIZES = 200  # numbers of examples that are looked at together


def fewest(margin: float, level: float = 0.05) -> int:
    """The fewest examples that can show a group safe: none lost among n has the p (1 - margin) ** n."""
    _check(margin, level)
    if margin >= 1:
        return 1
    least = math.log(level) / math.log1p(-margin)
    return math.ceil(least - 1e-9 * max(1.0, least))


def needed(
    lost: int,
    gained: int,
    n: int,
    margin: float,
    level: float = 0.05,
    power: float = 0.8,
    design: float = 1.0,
    *,
    planner: Planner | None = None,
) -> int | None:
    """Examples that show a group safe with this power, if models disagree as often as here and harm nothing.

    The models disagree on (lost + gained + 1) / (n + 1) of the examples; design: of clusters, times so many. The number
    is the least one from which on the exact power is reached. planner: keeps what groups share, for audits of many
    groups. None where more than 10 ** 9 examples were needed.
    """
    return (planner or Planner(margin, level, power)).needed((lost + gained + 1) / (n + 1), design)


def power_of_pass(n: int, discordance: float, harm: float, margin: float, level: float = 0.05) -> float:
    """The exact chance that n independent examples are shown safe.

    discordance: the share of examples lost or gained, at least |harm|; harm: the true one, a share. Raises ValueError
    for shares that no world has.
    """
    _check(margin, level)
    if not abs(harm) <= discordance <= 1:
        raise ValueError(f"discordance is {discordance}, harm {harm}: |harm| <= discordance <= 1 is asked for")
    if n < 1:
        return 0.0
    flips, weight = _flips(n, n, discordance)
    lost = most_lost(flips, n, margin, level)
    chance = weight * _pmf(flips, n, discordance) * _at_most(lost, flips, _share(discordance, harm))
    return float(min(1.0, chance.sum()))


def detectable(n: int, discordance: float, level: float = 0.05, power: float = 0.8) -> float | None:
    """The least true harm that the exact McNemar test at this level finds with this power; None where there is none.

    discordance: the share of examples lost or gained; a larger harm raises it to the harm itself.
    """
    if n < 1 or 0.5**n > level:
        return None
    if _found(n, discordance, level)(discordance) < power:  # so often lost and never gained
        return _least(lambda harm: _found(n, harm, level)(harm) >= power, discordance, 1.0)
    chance = _found(n, discordance, level)
    return _least(lambda harm: chance(harm) >= power, 0.0, discordance)


@dataclass(frozen=True)
class Planner:
    """Powers for a margin (a share), a level and a power; keeps the numbers needed, for later groups."""

    margin: float
    level: float = 0.05
    power: float = 0.8
    known: dict[float, int | None] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.margin, self.level)

    def needed(self, discordance: float, design: float = 1.0) -> int | None:
        """Examples that show a group without harm safe with the power; see `needed`."""
        if discordance not in self.known:
            self.known[discordance] = self._search(min(1.0, discordance))
        found = self.known[discordance]
        return None if found is None else math.ceil(round(found * design, 6))

    def powers(self, sizes: Floats, discordance: float, harm: float = 0.0) -> Floats:
        """The power at rising numbers of examples, all at least `fewest`, float (V,).

        The losses that are allowed are interpolated between a few exact ones: right to about 0.001.
        """
        near = (sizes <= 1.5 * sizes[0]) & ((sizes - sizes[0]) * discordance <= 3000)  # one polynomial reaches so far
        first = self._powers(sizes[near], discordance, harm)
        return first if near.all() else np.concatenate([first, self.powers(sizes[~near], discordance, harm)])

    def _powers(self, sizes: Floats, discordance: float, harm: float) -> Floats:
        flips, weight = _flips(int(sizes[0]), int(sizes[-1]), discordance)
        lost = self._allowed(sizes, flips)  # (V, D)
        least = lost.min(0).astype(np.intp)
        more = least + np.arange(1.0, 1 + int((lost.max(0) - least).max()))[:, None]  # few differ: each chance once
        share = _share(discordance, harm)
        first = _at_most(least.astype(np.float64), flips, share)[None]
        table = np.cumsum(np.concatenate([first, _pmf(more, flips, share)]), axis=0)
        below = np.take_along_axis(table, lost.astype(np.intp) - least, axis=0)
        chance = weight * _pmf(flips, sizes[:, None], discordance)
        return np.asarray(np.minimum(1.0, (chance * below).sum(1) / np.maximum(1.0, chance.sum(1))))

    def _search(self, discordance: float) -> int | None:
        """The least n from which on the power is reached, at discordance flips a share of examples and no harm."""
        least = fewest(self.margin, self.level)
        guess = self._guess(discordance)
        if guess > 1e9:
            return None
        if guess * self.margin > SMOOTH:
            return math.ceil(guess)
        tooth = 1 / self.margin
        low, high = max(least, int(0.85 * guess - tooth)), int(max(guess, least) * 1.05 + 2 * tooth)
        while low < high:
            sizes = np.unique(np.linspace(low, high, MOST_SIZES).round())
            failing = np.flatnonzero(self.powers(sizes, discordance) < self.power)
            if not len(failing):
                if low == least:
                    return low
                low, high = max(least, low - (high - low)), low
            elif failing[-1] == len(sizes) - 1:
                low, high = high, high + 2 * (high - low)
            else:
                low, high = int(sizes[failing[-1]]), int(sizes[failing[-1] + 1])
                if high - low == 1:
                    return high
        return high

    def _guess(self, discordance: float) -> float:
        """About the n of `needed`: normal counts, the example more, and half a count for whole numbers."""
        alpha, beta = -float(special.ndtri(self.level)), float(special.ndtri(self.power))
        n = 1 / self.margin
        for _ in range(60):
            spread = math.sqrt(n * discordance)
            n = (alpha * math.sqrt(spread**2 + 1) + beta * spread + 1.5) / self.margin
        return n

    def _allowed(self, sizes: Floats, flips: Floats) -> Floats:
        """The most losses that are safe, float (V, D) whole numbers, by polynomials in n and the root of the flips."""
        n = _nodes(5, float(sizes[0]), float(sizes[-1]) + 1)
        start = all_safe(n, self.margin, self.level)
        last = np.minimum(np.maximum(float(flips[-1]), start) + 1, n * (1 - 1e-9))
        some = start[:, None] + _nodes(14, 0.0, 1.0) ** 2 * (last - start)[:, None]
        exact = safe_losses(some, n[:, None], self.margin, self.level)  # (5, 14)
        fitted = np.linalg.solve(chebyshev.chebvander(_nodes(14, -1.0, 1.0), 13), exact.T)  # (14, 5) coefficients
        by_n = np.linalg.solve(chebyshev.chebvander(_nodes(5, -1.0, 1.0), 4), np.column_stack([start, last, fitted.T]))
        here = chebyshev.chebvander(2 * (sizes - sizes[0]) / (sizes[-1] + 1 - sizes[0]) - 1, 4) @ by_n  # (V, 16)
        at = (flips - here[:, :1]) / (here[:, 1:2] - here[:, :1])  # (V, D)
        between = chebyshev.chebval(2 * np.sqrt(np.clip(at, 0, 1)) - 1, here[:, 2:].T[:, :, None], tensor=False)
        return np.where(at <= 0, flips, np.clip(np.floor(between + 1e-6), -1, flips))


def _check(margin: float, level: float) -> None:
    if not (0 < margin <= 1 and 0 < level < 1):
        raise ValueError(f"margin is {margin}, level {level}: shares above 0, and a level below 1, are asked for")


def _nodes(number: int, low: float, high: float) -> Floats:
    """Chebyshev's nodes."""
    x = np.cos(np.pi * (np.arange(number) + 0.5) / number)
    return np.asarray((low + high) / 2 + x * (high - low) / 2)


def _share(discordance: float, harm: float) -> float:
    """The share of losses among flips."""
    return (discordance + harm) / (2 * discordance) if discordance > 0 else 0.5


def _flips(least: int, most: int, discordance: float) -> tuple[Floats, float]:
    """Numbers of flips that are likely with `least` to `most` examples, and how many each of them stands for."""
    spread = math.sqrt(least * discordance * (1 - discordance))
    low = least * discordance - TAIL * spread - 3
    high = most * discordance + TAIL * math.sqrt(most * discordance * (1 - discordance)) + 12
    low, high = max(0, math.floor(low)), min(most, math.ceil(high))
    stride = max(1, int(spread / FINE))
    return np.arange(low, high + 1, stride, dtype=np.float64), float(stride)


def _pmf(k: Floats, n: ArrayLike, share: float) -> Floats:
    """The binomial chance of k among n; 0 where k > n."""
    size = np.asarray(n, np.float64)
    rest = size - k
    log = special.gammaln(size + 1) - special.gammaln(k + 1) - special.gammaln(np.maximum(rest, 0) + 1)
    log = log + special.xlogy(k, share) + special.xlog1py(np.maximum(rest, 0), -share)
    return np.where(rest >= 0, np.exp(log), 0.0)


def _at_most(k: Floats, n: Floats, share: float) -> Floats:
    """The binomial chance of at most k among n; k may be -1 or n."""
    inside = special.betaincc(np.maximum(k, 0) + 1, np.maximum(n - k, 1e-300), share)
    return np.where(k < 0, 0.0, np.where(k >= n, 1.0, inside))


def _found(n: int, discordance: float, level: float) -> Callable[[float], float]:
    """The chance that McNemar's test finds a harm, of the harm."""
    flips, weight = _flips(n, n, discordance)
    lost = _critical(flips, level)
    chance = weight * _pmf(flips, n, discordance)

    def found(harm: float) -> float:
        return float((chance * (1 - _at_most(lost - 1, flips, _share(discordance, harm)))).sum())

    return found


def _least(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The least number between these at which a statement holds that holds from there on, to a millionth."""
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _critical(flips: Floats, level: float) -> Floats:
    """The fewest losses among so many flips which McNemar's test rejects at; one more than the flips where none is."""
    low, high = np.zeros(len(flips)), flips + 1  # low is not rejected, high is, or is out of reach
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        rejected = no_harm_p(middle, np.maximum(flips - middle, 0.0)) <= level
        open_ = high - low > 1
        low, high = np.where(open_ & ~rejected, middle, low), np.where(open_ & rejected, middle, high)
    return high
