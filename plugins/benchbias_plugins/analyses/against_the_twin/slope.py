"""Disparity slope: how fast conflicting examples lose more than aligned ones as sparsity grows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from benchbias import Table, estimate

from .sweeps import sweeps
from .twins import Accuracies, summary_parts

if TYPE_CHECKING:
    from benchbias import Estimate, Measured, Population

    from .sweeps import Sweep

UNITS = {"sparsity": "points per unit of sparsity", "log compression": "points per halving of the parameters"}
QUANTITIES = ("disparity", "conflicting", "aligned", "average")


def disparity_slope(population: Population, *, axis: Literal["sparsity", "log compression"] = "sparsity") -> Table:
    """The slope, through the origin, of the change of conflicting less aligned accuracy against the twin on sparsity.

    Of each seed the least-squares slope b = sum(x d) / sum(x^2) over its levels, x the sparsity of the network and d
    the change against the control in points; then the mean over seeds with the board's interval. Beside it the slopes
    of conflicting, aligned and average accuracy. Only seeds that have every level count.

    axis: sparsity, or log compression: log2 of all parameters over those that are not zero.
    Raises Skip where nothing is swept.
    """
    accuracies = Accuracies(summary_parts(population.members[0].record.body))
    lines = [line for sweep in sweeps(population) for line in _lines(sweep, accuracies, axis)]
    heads = (
        *(("method", "text", ""), ("control", "text", ""), ("quantity", "text", "")),
        *(("slope", "estimate", UNITS[axis]), ("largest misfit", "number", "points"), ("levels", "count", "")),
    )
    columns = zip(*lines, strict=True) if lines else [()] * len(heads)
    return Table(
        {name: (kind, unit, values) for (name, kind, unit), values in zip(heads, columns, strict=True)},
        f"Slopes through the origin of the change against the control, {UNITS[axis]}; disparity: of conflicting less "
        "aligned accuracy. Largest misfit: how far the mean change of a level is from the line.",
    )


def through_origin(levels: Sequence[float], changes: Sequence[Measured]) -> Measured:
    """The least-squares slope through the origin of one seed's changes; levels must not all be zero."""
    total = math.fsum(level**2 for level in levels)
    first, *others = [(level / total) * change for level, change in zip(levels, changes, strict=True)]
    for other in others:
        first = first + other
    return first


def compression(body: Mapping[str, Any], axis: str) -> float:
    """Where a trial stands on the axis: 0 is dense."""
    if axis == "sparsity":
        return float(body["sparsity"])
    return math.log2(body["parameters"] / body["nonzero_parameters"])


def _lines(sweep: Sweep, accuracies: Accuracies, axis: str) -> list[tuple[Any, ...]]:
    by_level = [{member.seed: (control, member) for control, member in level.pairs} for level in sweep.levels]
    seeds = sorted(set.intersection(*(set(pairs) for pairs in by_level)))
    lines = []
    for quantity in QUANTITIES:
        slopes: list[Measured] = []
        points: list[tuple[list[float], list[float]]] = []
        for seed in seeds:
            levels = [compression(pairs[seed][1].record.body, axis) for pairs in by_level]
            changes = [_change(accuracies, pairs[seed], quantity) for pairs in by_level]
            if any(levels):
                slopes.append(through_origin(levels, changes))
                points.append((levels, [float(change.value) for change in changes]))
        slope = estimate(slopes)
        lines.append((sweep.method, sweep.control, quantity, slope, _misfit(slope, points), len(sweep.levels)))
    return lines


def _change(accuracies: Accuracies, pair: Any, quantity: str) -> Measured:
    if quantity == "disparity":
        (conflicting,), (aligned,) = (accuracies.changes([pair], part) for part in ("conflicting", "aligned"))
        return conflicting - aligned
    (change,) = accuracies.changes([pair], "all" if quantity == "average" else quantity)
    return change


def _misfit(slope: Estimate | None, points: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float | None:
    """The largest distance of a level's mean change from the line, in points."""
    if slope is None:
        return None
    apart = [
        [change - slope.mean * level for level, change in zip(levels, changes, strict=True)]
        for levels, changes in points
    ]
    return max(abs(math.fsum(level)) / len(points) for level in zip(*apart, strict=True))
