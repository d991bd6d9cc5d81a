"""The least over groups of the mean accuracy over seeds, corrected for the bias of a least. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchbias.statistics.cells import stacked
from benchbias.statistics.estimates import Estimate, all_over_seeds
from benchbias.statistics.influence import Influence, Measured, first_lowest
from benchbias.statistics.least import bias_of_least

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells


@dataclass(frozen=True)
class GroupMeans:
    """The mean accuracy over seeds of every group, and the least of them, less its bias.

    groups: None of one that a seed does not test. least: as in `least_of`.
    """

    groups: tuple[Estimate | None, ...]
    least: Estimate | None


def least_mean(cells: Sequence[Cells], groups: int) -> Estimate | None:
    """The least over groups of the mean accuracy over seeds, as `least_of`; cells: one a seed."""
    return least_of([group_accuracies(one, groups) for one in cells])


def group_means(rows: Sequence[Sequence[Cells]], groups: int) -> list[GroupMeans]:
    """The groups of many rows at once; a row: its cells, one a seed. Trials on one test split are counted together."""
    places: dict[str, list[tuple[int, int]]] = {}
    for number, row in enumerate(rows):
        for seed, cells in enumerate(row):
            places.setdefault(cells.layout, []).append((number, seed))
    by_seed: list[list[list[Measured | None]]] = [[[] for _ in row] for row in rows]
    for here in places.values():
        counted = _all_accuracies(stacked([rows[number][seed] for number, seed in here]), groups)
        for (number, seed), found in zip(here, counted, strict=True):
            by_seed[number][seed] = found
    return _means(by_seed)


def group_accuracies(cells: Cells, groups: int) -> list[Measured | None]:
    """The accuracy of every group, as `measure_group`, all at once; None of a group without an example."""
    import numpy as np

    drawn, cluster = np.unique(cells.cluster, return_inverse=True)
    total, right = (np.bincount(cells.group, counts, groups) for counts in (cells.total, cells.correct))
    with np.errstate(invalid="ignore"):
        accuracy = right / total  # (G,)
    residual = (cells.correct - accuracy[cells.group] * cells.total) / total[cells.group]  # (M,)
    at = cells.group * len(drawn) + cluster
    influence = np.bincount(at, residual, groups * len(drawn)).reshape(groups, len(drawn))
    clusters = np.bincount(np.unique(at) // len(drawn), minlength=groups)
    return [
        Measured(
            accuracy[group], Influence(drawn, influence[group], cells.layout, float(clusters[group])), 0.0, (0.0, 1.0)
        )
        if total[group]
        else None
        for group in range(groups)
    ]


def _all_accuracies(cells: Cells, groups: int) -> Iterator[list[Measured | None]]:
    """`group_accuracies` of each of many trials on one test split, `correct` (N, M); no cell stands twice."""
    import numpy as np

    drawn, cluster = np.unique(cells.cluster, return_inverse=True)
    total = np.bincount(cells.group, cells.total, groups)
    right = cells.correct @ (cells.group[:, None] == np.arange(groups)).astype(float)  # (N, G), whole numbers
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = right / total
    residual = (cells.correct - accuracy[:, cells.group] * cells.total) / total[cells.group]  # (N, M)
    at = cells.group * len(drawn) + cluster
    influence = np.zeros((len(right), groups * len(drawn)))
    influence[:, at] = residual
    clusters = np.bincount(np.unique(at) // len(drawn), minlength=groups).astype(float).tolist()
    tested = [bool(number) for number in total]
    for values, parts in zip(accuracy, influence.reshape(len(right), groups, len(drawn)), strict=True):
        yield [
            Measured(value, Influence(drawn, part, cells.layout, number), 0.0, (0.0, 1.0)) if known else None
            for value, part, number, known in zip(values, parts, clusters, tested, strict=True)
        ]


def least_of(by_seed: Sequence[Sequence[Measured | None]]) -> Estimate | None:
    """The least over groups of the mean accuracy over seeds, less its bias, with its interval.

    by_seed: the accuracy of every group in every seed; None where a seed does not test a group. The interval has the
    width of that of the group which is the lowest here. None where no seed tests a group.
    """
    return _means([by_seed])[0].least


def _means(rows: Sequence[Sequence[Sequence[Measured | None]]]) -> list[GroupMeans]:
    """The groups of each row, and the least of them; a row: by seed, then group."""
    measured = [[[one for one in group if one is not None] for group in zip(*row, strict=True)] for row in rows]
    flat = iter(all_over_seeds([values for row in measured for values in row]))
    means = [[next(flat) for _ in row] for row in measured]
    least = _leasts(rows, means)
    return [
        GroupMeans(
            tuple(one if len(seen) == len(row) else None for one, seen in zip(mean, groups, strict=True)), least[number]
        )
        for number, (row, mean, groups) in enumerate(zip(rows, means, measured, strict=True))
    ]


def _leasts(
    rows: Sequence[Sequence[Sequence[Measured | None]]], means: Sequence[Sequence[Estimate | None]]
) -> list[Estimate | None]:
    """The least of each row's groups less its bias; None where a group has no mean, or there is none."""
    import numpy as np

    found: list[Estimate | None] = [None] * len(rows)
    whole: dict[int, list[tuple[int, list[Estimate]]]] = {}
    for number, groups in enumerate(means):
        known = [one for one in groups if one is not None]
        if known and len(known) == len(groups):
            whole.setdefault(len(known), []).append((number, known))
    for members in whole.values():
        accuracy = np.array([[one.mean for one in known] for _, known in members])  # (R, G)
        counted = [np.array([_values(seed) for seed in rows[number]]) for number, _ in members]
        independent = [_independent(values, known) for values, (_, known) in zip(counted, members, strict=True)]
        bias = bias_of_least(accuracy, np.stack(independent))
        for (number, known), at, one in zip(members, first_lowest(accuracy), bias, strict=True):
            lowest = known[int(at)]
            found[number] = replace(lowest, mean=min(1.0, lowest.mean - float(one)))
    return found


def _values(seed: Sequence[Measured | None]) -> list[float]:
    return [math.nan if one is None else float(one.value) for one in seed]


def _independent(accuracy: NDArray[Any], groups: Sequence[Estimate]) -> NDArray[Any]:
    """The number of independent examples that would let the groups' means differ as they do: (G,).

    accuracy: by seed and group, (S, G); NaN where a seed does not test a group. What a seed adds to all groups alike
    decides nothing between them, so the variance is that of the differences from the seed's own mean, and that of the
    examples.
    """
    import numpy as np

    apart = accuracy - np.nanmean(accuracy, axis=1, keepdims=True)
    tested = (~np.isnan(apart)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.square(apart - np.nanmean(apart, axis=0)).sum(axis=0, where=~np.isnan(apart))
        seeds = np.where(tested > 1, squares / (tested - 1) / tested, 0.0)
    examples = np.array([(1 - one.seed_share if one.over_seeds else 1.0) * one.error**2 for one in groups])
    mean = np.array([one.mean for one in groups])
    fewest = np.array([one.clusters or 2.0 for one in groups])
    with np.errstate(divide="ignore", invalid="ignore"):
        number = mean * (1 - mean) / (seeds + examples)
    return np.where(np.isfinite(number) & (number > 0), number, fewest)
