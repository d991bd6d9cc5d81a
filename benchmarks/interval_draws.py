"""Estimates of many simulated repetitions at once, as the board makes them one by one, and how they are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchbias.statistics.estimates import Estimate, over_seeds, spread_over_seeds
from benchbias.statistics.influence import Influence, Measured, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells

    Values = NDArray[np.float64]

CHUNK = 400_000  # counts of one seed that are held at a time


@dataclass(frozen=True)
class Told:
    """The intervals of all repetitions against the truth: shares of truths below and above, mean width, bias.

    none: the share of repetitions without an interval, which count in the bias alone.
    """

    below: float
    above: float
    width: float
    bias: float
    none: float

    @property
    def held(self) -> float:
        """The share of intervals that hold the truth."""
        return 1 - self.below - self.above

    def words(self) -> tuple[str, str, str]:
        """In percent and points: the coverage with the truths below and above, the width, the bias."""
        covered = f"{100 * self.held:.1f} ({100 * self.below:.1f}, {100 * self.above:.1f})"
        without = f", none in {100 * self.none:.1f}" if self.none else ""
        return covered + without, f"{100 * self.width:.1f}", f"{100 * self.bias:+.1f}"


def told(found: Sequence[Estimate], true: float) -> Told:
    """Intervals against the truth."""
    bounds = np.array([one.interval() for one in found])
    mean = float(np.mean([one.mean for one in found]))
    return told_bounds(bounds[:, 0], bounds[:, 1], mean, true)


def told_bounds(lower: Values, upper: Values, mean: float, true: float) -> Told:
    """The same of bounds (R,); NaN where there is no interval."""
    known = ~np.isnan(lower)
    lower, upper = lower[known], upper[known]
    below, above = (float(side.mean()) if known.any() else np.nan for side in (true < lower, true > upper))
    width = float((upper - lower).mean()) if known.any() else np.nan
    return Told(below, above, width, mean - true, 1 - float(known.mean()))


def worst(row: Sequence[Cells], groups: int) -> list[Measured]:
    """The worst-group accuracy of every seed, each of all repetitions."""
    found = [measure("worst_group_accuracy", cells, (True,) * groups) for cells in row]
    return [one for one in found if one is not None]


def estimates(measured: Sequence[Measured]) -> list[Estimate]:
    """The estimate over seeds of every repetition: `over_seeds`, with its arrays computed for all of them at once."""
    found, (low, high) = spread_over_seeds(measured), measured[0].bounds
    clusters = np.broadcast_to(np.inf if found.clusters is None else found.clusters, found.mean.shape)
    examples = np.broadcast_to(found.example_freedom, found.mean.shape)
    with np.errstate(invalid="ignore"):
        share = np.minimum(1.0, found.from_seeds / found.standard_error**2)
    columns = (found.mean.clip(low, high), found.sd, found.half_width, found.standard_error, found.freedom, share)
    made = []
    for at, (mean, sd, half, *spread, number) in enumerate(zip(*columns, examples, clusters, strict=True)):
        if half > 0:
            made.append(Estimate(mean, sd, found.seeds, half, *spread, clusters=number, bounds=(low, high)))
        elif (alone := over_seeds([repetition(one, at) for one in measured])) is not None:  # nothing varies
            made.append(alone)
    return made


def repetition(measured: Measured, at: int) -> Measured:
    """One of many repetitions."""
    value, known = np.asarray(measured.value), measured.influence
    own = None
    if known is not None:
        own = Influence(known.cluster, known.value[at], known.layout, np.broadcast_to(known.clusters, value.shape)[at])
    return Measured(value[at], own, np.broadcast_to(measured.bias, value.shape)[at], measured.bounds)


def chunks(examples: int, repetitions: int) -> Iterator[int]:
    """Numbers of repetitions, in sum all of them, so few that a chunk fits the memory."""
    size = max(1, CHUNK // examples)
    yield from (min(size, repetitions - start) for start in range(0, repetitions, size))


def at_least(repetitions: int, groups: int) -> int:
    """Fewer repetitions where groups are many: each takes longer."""
    return max(1, repetitions // (1 if groups <= 4 else 3 if groups <= 25 else 5))


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Markdown; the first column is text."""
    rows = ["| " + " | ".join(line) + " |" for line in (head, *lines)]
    return [rows[0], "|:---|" + "---:|" * (len(head) - 1), *rows[1:]]
