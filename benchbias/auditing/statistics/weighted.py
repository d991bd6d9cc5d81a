"""A mean under random weights: its tails and quantiles, exactly, by one integral in the complex plane.

Every example (or cluster) gets an independent exponential weight, and alike ones share a gamma weight G with their
number as its shape. The mean R = sum G harm / sum G size is above t where Q = sum G (harm - t size) is positive, and Q
has a moment generating function without special functions. Its tail is an integral along a path through the saddle
point (Rice, 1980, SIAM J. Sci. Stat. Comput. 1, 438-448), here a hyperbola, by the trapezoidal rule. Always the smaller
tail is integrated, so that small chances keep their relative precision. Nothing is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

STEP = 0.15  # of the trapezoidal rule: errors below 1e-8 of the tail
GAUSSIAN = 3.6  # an integrand that is negligible after this node is nearly that of a normal variable
SMALL = -36.0  # log of the share of the largest integrand that is left out
BLOCK = 400_000  # values of the integrand that are held at once
LEAST = float(np.finfo(np.float64).tiny)
"""The least chance that is told: one that underflows is this, never 0."""


@dataclass(frozen=True)
class Outcomes:
    """Kinds of examples or clusters. number, harm, size: float (G, J) of G groups with J kinds; number may be 0."""

    number: Floats
    harm: Floats
    size: Floats

    @classmethod
    def of(cls, number: ArrayLike, harm: ArrayLike, size: ArrayLike) -> Outcomes:
        """Outcomes of arrays that broadcast to (G, J)."""
        whole = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in (number, harm, size)))
        return cls(*(np.atleast_2d(value) for value in whole))

    def take(self, rows: NDArray[Any]) -> Outcomes:
        """The groups with these numbers, or where a mask is true."""
        return Outcomes(self.number[rows], self.harm[rows], self.size[rows])


@dataclass(frozen=True)
class Tails:
    """Chances of the mean of every group, float (G,): above and below a value; density: of the mean at that value.

    A mean that can be this value alone is both above and below it.
    """

    above: Floats
    below: Floats
    density: Floats


def tails(outcomes: Outcomes, at: ArrayLike) -> Tails:
    """The chances that the mean of every group is above and below `at`, which broadcasts to (G,)."""
    groups = len(outcomes.number)
    value = np.broadcast_to(np.asarray(at, np.float64), (groups,))
    above, below, density = np.ones(groups), np.ones(groups), np.zeros(groups)
    order = np.argsort(outcomes.number.sum(1), kind="stable")  # alike groups need alike numbers of nodes
    width = max(1, BLOCK // (40 * outcomes.number.shape[1]))
    for start in range(0, groups, width):
        rows = order[start : start + width]
        above[rows], below[rows], density[rows] = _tails(outcomes.take(rows), value[rows])
    return Tails(above, below, density)


def quantile(outcomes: Outcomes, level: float) -> Floats:
    """The value that the mean of every group exceeds with chance `level`, float (G,).

    Newton's method on the logarithm of the tail, which is concave in nearly all cases: from the right side it meets the
    value without a step too far. Brackets guard the rest. A mean without spread is its own quantile.
    """
    least, most, start = _range(outcomes)
    low, high = least.copy(), most.copy()
    found, todo = np.clip(start, low, high), np.flatnonzero(high > low)
    for _ in range(60):
        if not len(todo):
            break
        here, part = found[todo], outcomes.take(todo)
        chance = tails(part, here)
        over = chance.above > level
        low[todo], high[todo] = np.where(over, here, low[todo]), np.where(over, high[todo], here)
        with np.errstate(all="ignore"):
            step = here + (np.log(chance.above) - np.log(level)) * chance.above / chance.density
        near = abs(step - here) <= 1e-14 + 1e-10 * abs(here)
        inside = (step > low[todo]) & (step < high[todo])
        found[todo] = np.where(near | inside, step, (low[todo] + high[todo]) / 2)
        todo = todo[~near & (high[todo] - low[todo] > 1e-15)]
    return np.clip(found, least, most)


def _range(outcomes: Outcomes) -> tuple[Floats, Floats, Floats]:
    """The least and the largest value of the mean of every group, and a first guess of a bound above it."""
    number, harm, size = outcomes.number, outcomes.harm, outcomes.size
    there = number > 0
    ratio = harm / np.where(there, size, 1.0)
    low, high = np.where(there, ratio, np.inf).min(1), np.where(there, ratio, -np.inf).max(1)
    total = (number * size).sum(1)
    mean = (number * harm).sum(1) / total
    spread = np.sqrt((number * (harm - mean[:, None] * size) ** 2).sum(1)) / total
    return low, high, mean + 1.7 * spread


def _tails(outcomes: Outcomes, at: Floats) -> tuple[Floats, Floats, Floats]:
    """Tails of a block of groups."""
    number, size = outcomes.number, outcomes.size
    value = np.where(number > 0, outcomes.harm - at[:, None] * size, 0.0)
    side = np.where((number * value).sum(1) > 0, -1.0, 1.0)  # integrate the tail that holds the lesser part
    value = value * side[:, None]
    some, others = (value > 0).any(1), (value < 0).any(1)
    rare, density = np.where(some & ~others, 1.0, 0.0), np.zeros(len(at))
    both = some & others
    if both.any():
        rare[both], density[both] = _integral(number[both], value[both], size[both])
    common = np.where(some | others, 1 - rare, 1.0)  # else it is this value alone
    rare = np.where(some | others, rare, 1.0)
    return np.where(side > 0, rare, common), np.where(side > 0, common, rare), density


def _integral(number: Floats, value: Floats, size: Floats) -> tuple[Floats, Floats]:
    """P(sum G value > 0) for every group, and the density of the mean that this tail belongs to; mean value <= 0."""
    unit = value.max(1, keepdims=True)
    path, last = _best_path(number, value / unit)
    node: Floats = STEP * np.arange(1.0 + np.ceil(last.max() / STEP))
    x, y, log, real, imaginary = path.integrand(number, node)
    square = real**2 + imaginary**2
    log = path.top[:, None] + np.where(node <= last[:, None] + STEP, log, -np.inf)  # far away it may rise again
    angle = np.einsum("gj,gjv->gv", number, np.arctan2(imaginary, real))
    height = np.where(node > 0, 2.0, 1.0) * np.exp(log) * (path.scale[:, None] * (STEP / (2 * np.pi)))
    step = np.cosh(node) - 1j * (path.bend[:, None] * np.sinh(node))
    whole = height * (np.cos(angle) + 1j * np.sin(angle)) * step
    chance = (whole / (path.saddle[:, None] + x + 1j * y)).real.sum(1)
    mass = number * (size / unit) / path.rest
    part = np.einsum("gj,gjv->gv", mass, real / square) + 1j * np.einsum("gj,gjv->gv", mass, imaginary / square)
    return np.clip(chance, LEAST, 1.0), (whole * part).real.sum(1)


@dataclass(frozen=True)
class _Path:
    """The hyperbola saddle + scale (bend (cosh v - 1) + i sinh v), near the steepest descent from the saddle.

    saddle, scale, bend, top: float (G,); top: log of the generating function there. rest: 1 - saddle value;
    slope: value / rest, both (G, J).
    """

    saddle: Floats
    scale: Floats
    bend: Floats
    top: Floats
    rest: Floats
    slope: Floats

    def integrand(self, number: Floats, node: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """At nodes (V,): distances x, y from the saddle and the log of the generating function's size there, (G, V).

        Then the real and the imaginary part of each kind's factor over that at the saddle, (G, J, V).
        """
        x = (self.scale * self.bend)[:, None] * (np.cosh(node) - 1)
        y = self.scale[:, None] * np.sinh(node)
        real, imaginary = 1 - self.slope[:, :, None] * x[:, None, :], self.slope[:, :, None] * y[:, None, :]
        return x, y, -0.5 * np.einsum("gj,gjv->gv", number, np.log(real**2 + imaginary**2)), real, imaginary


def _best_path(number: Floats, value: Floats) -> tuple[_Path, Floats]:
    """The hyperbola, of some, on which the integrand is soonest negligible, and the node after which it is."""
    saddle = _saddle(number, value)
    rest = 1 - saddle[:, None] * value
    slope = value / rest
    scale = 1 / np.sqrt((number * slope**2).sum(1) + 1 / saddle**2)
    top = -(number * np.log(rest)).sum(1)
    own = 2 * (number * slope**3).sum(1) * scale**3 / 3
    path = _Path(saddle, scale, own - 2 * (scale / saddle) ** 3 / 3, top, rest, slope)  # the steepest descent
    last = _last(number, path)
    rows = np.flatnonzero(last > GAUSSIAN)
    if len(rows):
        bend, end = path.bend.copy(), last.copy()
        for tried in (own[rows], *(np.full(len(rows), slant) for slant in (0.0, 0.3, -0.3))):
            part = _Path(saddle[rows], scale[rows], tried, top[rows], rest[rows], slope[rows])
            sooner = _last(number[rows], part)
            bend[rows] = np.where(sooner < end[rows], tried, bend[rows])
            end[rows] = np.minimum(sooner, end[rows])
        path, last = replace(path, bend=bend), end
    return path, last


def _last(number: Floats, path: _Path) -> Floats:
    """The first of some nodes at which the integrand of every group is negligible."""
    tried = np.array([1.6, 2, 2.3, 2.6, 2.9, 3.2, 3.5, 3.8, 4.2, 4.6, 5, 5.5, 6, 6.5, 7, 8, 9, 11, 13, 16, 20, 24])
    x, y, log, _, _ = path.integrand(number, tried)
    away = path.saddle[:, None]
    log = log - 0.5 * np.log((1 + x / away) ** 2 + (y / away) ** 2) + np.log(np.cosh(tried))
    small = log < SMALL
    return np.where(small.any(1), tried[small.argmax(1)], 40.0)


def _saddle(number: Floats, value: Floats) -> Floats:
    """The point in (0, 1) where the integrand is least on the real line; the largest value is 1.

    Newton's steps in the logit of the point, within brackets. Any point near would give the same integral.
    """
    low: Floats = np.full(len(number), -40.0)
    high: Floats = np.full(len(number), 36.0)
    found, moves = np.zeros(len(number)), np.ones(len(number), dtype=np.bool_)
    for _ in range(50):
        point = 1 / (1 + np.exp(-found))
        part = value / (1 - point[:, None] * value)
        rise = (number * part).sum(1) - 1 / point
        low, high = np.where(rise > 0, low, found), np.where(rise > 0, found, high)
        bend = (number * part**2).sum(1) + 1 / point**2
        width = point * (1 - point)
        # of rise * width, which has no poles: its derivative by the logit
        steep = bend * width + rise * (1 - 2 * point)
        step = found - rise / np.where(steep > 1e-30 * abs(rise), steep, np.inf)
        after = np.where((step > low) & (step < high), step, (low + high) / 2)
        near = np.abs(after - found) < 1e-3
        found = np.where(moves, after, found)  # a group is the same whatever groups stand beside it
        moves = moves & ~near
        if not moves.any():
            break
    return np.asarray(1 / (1 + np.exp(-found)))
