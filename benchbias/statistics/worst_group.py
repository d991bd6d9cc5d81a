"""The least over groups of the mean accuracy over seeds, corrected for the bias of a least. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchbias.statistics.estimates import Estimate, over_seeds
from benchbias.statistics.influence import Influence, Measured, first_lowest
from benchbias.statistics.least import bias_of_least

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells


def least_mean(cells: Sequence[Cells], groups: int) -> Estimate | None:
    """The least over groups of the mean accuracy over seeds, as `least_of`; cells: one a seed."""
    return least_of([group_accuracies(one, groups) for one in cells])


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


def least_of(by_seed: Sequence[Sequence[Measured | None]]) -> Estimate | None:
    """The least over groups of the mean accuracy over seeds, less its bias, with its interval.

    by_seed: the accuracy of every group in every seed; None where a seed does not test a group. The interval has the
    width of that of the group which is the lowest here. None where no seed tests a group.
    """
    import numpy as np

    measured = [[one for one in group if one is not None] for group in zip(*by_seed, strict=True)]
    known = [one for values in measured if (one := over_seeds(values)) is not None]
    if not known or len(known) < len(measured):
        return None
    values = [[float(one.value) if one is not None else np.nan for one in seed] for seed in by_seed]
    accuracy = np.array([one.mean for one in known])
    lowest = known[int(first_lowest(accuracy))]
    bias = bias_of_least(accuracy, _independent(np.array(values), known))
    return replace(lowest, mean=min(1.0, lowest.mean - float(bias)))


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
