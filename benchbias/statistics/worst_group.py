"""The worst group, cross-fitted: chosen on other seeds and other examples than those that score it. No torch.

The least of noisy group accuracies is biased low, the more the more groups are tied. Here the group is chosen on the
other seeds and the other half of the example clusters, so its score is not the lowest by chance; where the choice
errs it errs upwards, a little.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.statistics.estimates import spread_over_seeds
from benchbias.statistics.influence import Measured, accuracies, first_lowest, measure_group

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells


@dataclass(frozen=True)
class CrossFitted:
    """The accuracy of the worst group, cross-fitted, with its 95 % interval."""

    value: float
    lower: float
    upper: float


def cross_fitted_worst_group(cells: Sequence[Cells], groups: int) -> CrossFitted | None:
    """The least over groups of the mean accuracy over seeds; cells: one a seed.

    The interval is [least lower bound, least upper bound] of the groups' own t intervals: it covers the least mean
    whichever group has it. None for fewer than two seeds, or where nothing can be chosen and scored.
    """
    import numpy as np

    if len(cells) < 2:
        return None
    value = float(cross_fit(np.stack(half_accuracies(cells, groups))))
    lower, upper = (float(bound) for bound in least_bounds(cells, groups))
    return None if np.isnan([value, lower, upper]).any() else CrossFitted(value, lower, upper)


def least_bounds(cells: Sequence[Cells], groups: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The least lower and the least upper bound of the groups' t intervals, of shape (...).

    Each group is estimated over the seeds that test it; NaN where one has no interval.
    """
    import numpy as np

    nothing = Measured(np.full(cells[0].correct.shape[:-1], np.nan))
    found = []
    for group in range(groups):
        tested = [measure_group(group, one) for one in cells if (one.group == group).any()]
        found.append(spread_over_seeds(tested or [nothing]))
    lower = np.stack([one.mean - one.half_width for one in found]).min(axis=0)
    upper = np.stack([one.mean + one.half_width for one in found]).min(axis=0)
    return lower, upper


def halves(clusters: NDArray[Any]) -> NDArray[Any]:
    """The half, 0 or 1, of each example cluster (K,): a hash of its number, the same everywhere."""
    import numpy as np

    return np.array([hashlib.sha256(str(int(cluster)).encode()).digest()[0] & 1 for cluster in clusters], dtype=int)


def half_accuracies(cells: Sequence[Cells], groups: int) -> list[NDArray[Any]]:
    """Accuracies of each group on each half of the clusters, (..., 2, G) a seed; NaN without an example."""
    import numpy as np

    clusters = np.unique(np.concatenate([one.cluster for one in cells]))
    half = halves(clusters)
    found = []
    for one in cells:
        part = half[np.searchsorted(clusters, one.cluster)] * groups + one.group
        by_part = accuracies(one.correct, one.total, part, 2 * groups)
        found.append(by_part.reshape(*by_part.shape[:-1], 2, groups))
    return found


def cross_fit(accuracy: NDArray[Any]) -> NDArray[Any]:
    """Choose on the other seeds and the other half, score on this seed and half, and average; NaN if impossible.

    accuracy: (S, ..., 2, G) -> (...). A half of a seed in which a group has no example (NaN) neither chooses nor is
    scored. Halves weigh equally within a seed, and seeds equally.
    """
    import numpy as np

    whole = ~np.isnan(accuracy).any(axis=-1, keepdims=True)  # (S, ..., 2, 1)
    known = np.where(whole, accuracy, 0)
    others = whole.sum(axis=0) - whole  # how many other seeds have this half
    with np.errstate(divide="ignore", invalid="ignore"):
        elsewhere = (known.sum(axis=0) - known) / others  # mean over the other seeds
    chosen = first_lowest(elsewhere[..., ::-1, :])[..., None]  # (S, ..., 2, 1): by the other half
    scored = (whole & (others[..., ::-1, :] > 0))[..., 0]
    score = np.take_along_axis(known, chosen, axis=-1)[..., 0]
    by_seed = _mean_where(score, scored, axis=-1)
    return _mean_where(by_seed, scored.any(axis=-1), axis=0)


def _mean_where(values: NDArray[Any], counted: NDArray[Any], axis: int) -> NDArray[Any]:
    """The mean along an axis of the values that count; NaN without any."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        mean: NDArray[Any] = np.where(counted, values, 0).sum(axis=axis) / counted.sum(axis=axis)
    return mean
