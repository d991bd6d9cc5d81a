"""The least over groups of the mean accuracy over seeds, corrected for the bias of a least. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchbias.statistics.estimates import Estimate, over_seeds
from benchbias.statistics.influence import first_lowest, measure_group
from benchbias.statistics.least import bias_of_least

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells


def least_mean(cells: Sequence[Cells], groups: int) -> Estimate | None:
    """The least over groups of the mean accuracy over seeds, less its bias, with its interval; cells: one a seed.

    The interval has the width of that of the group which is the lowest here. None where a group has no example.
    """
    import numpy as np

    found = [_group(cells, group) for group in range(groups)]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    accuracy = np.array([one.mean for one in known])
    lowest = known[int(first_lowest(accuracy))]
    bias = bias_of_least(accuracy, _independent(cells, known))
    return replace(lowest, mean=min(1.0, lowest.mean - float(bias)))


def _group(cells: Sequence[Cells], group: int) -> Estimate | None:
    """The accuracy of one group over the seeds that test it."""
    return over_seeds([measure_group(group, one) for one in cells if (one.group == group).any()])


def _independent(cells: Sequence[Cells], groups: Sequence[Estimate]) -> NDArray[Any]:
    """The number of independent examples that would let the groups' means differ as they do: (G,).

    What a seed adds to all groups alike decides nothing between them, so the variance is that of the differences
    from the seed's own mean, and that of the examples.
    """
    import numpy as np

    accuracy = np.array([[measure_group(group, one).value for group in range(len(groups))] for one in cells])
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
