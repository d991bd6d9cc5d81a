"""The least over groups of the mean accuracy over seeds, corrected for the bias of a least. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchbias.statistics.cells import Cells, stacked
from benchbias.statistics.estimates import Estimate, over_seeds
from benchbias.statistics.influence import Measured, first_lowest, measure_group, unstacked
from benchbias.statistics.least import bias_of_least

if TYPE_CHECKING:
    from numpy.typing import NDArray


def least_mean(cells: Sequence[Cells], groups: int) -> Estimate | None:
    """The least over groups of the mean accuracy over seeds, less its bias, with its interval; cells: one a seed.

    The interval has the width of that of the group which is the lowest here. None where a group has no example.
    """
    import numpy as np

    tested = [[bool((one.group == group).any()) for group in range(groups)] for one in cells]  # by seed, group
    measured = [
        _of_group(group, [one for one, has in zip(cells, tested, strict=True) if has[group]]) for group in range(groups)
    ]
    known = [one for values in measured if (one := over_seeds(values)) is not None]
    if not known or len(known) < groups:
        return None
    by_seed = np.full((len(cells), groups), np.nan)
    for group, values in enumerate(measured):
        by_seed[[has[group] for has in tested], group] = [float(one.value) for one in values]
    accuracy = np.array([one.mean for one in known])
    lowest = known[int(first_lowest(accuracy))]
    bias = bias_of_least(accuracy, _independent(by_seed, known))
    return replace(lowest, mean=min(1.0, lowest.mean - float(bias)))


def _of_group(group: int, cells: Sequence[Cells]) -> list[Measured]:
    """The accuracy of a group in every seed, those on one test split measured together."""
    found: dict[int, Measured] = {}
    for layout in dict.fromkeys(one.layout for one in cells):
        seeds = [at for at, one in enumerate(cells) if one.layout == layout]
        found |= zip(seeds, unstacked(measure_group(group, stacked([cells[at] for at in seeds]))), strict=True)
    return [found[at] for at in range(len(cells))]


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
