"""Metrics that are functions of test cells: their value, and how much each example cluster adds to it. No torch.

Every such metric is the least or the mean of the accuracies of some parts of the test split, where a part is a set
of groups: all groups (`accuracy`), the aligned ones, each group alone. An accuracy is a ratio of sums over clusters,
so its influence is that of a ratio estimator (Cochran, Sampling Techniques, 1977, chapter 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells

DECIMALS = 12  # accuracies that differ by less are tied: rounding must not choose the worst group


@dataclass(frozen=True, eq=False)
class Influence:
    """The amount that each of K example clusters adds to one seed's value, to first order.

    cluster: (K,). value: (..., K), summing to zero over the clusters. layout: the digest of the test split.
    """

    cluster: NDArray[Any]
    value: NDArray[Any]
    layout: str


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of one seed: a value of shape (...), and its influence; None where only the value is known.

    The value is NaN where the metric is undefined. Sums, differences and multiples are of value and influence; a sum
    of metrics on different test splits has no influence.
    """

    value: NDArray[Any] | float
    influence: Influence | None = None

    def __add__(self, other: Measured) -> Measured:
        mine, theirs = self.influence, other.influence
        if mine is None or theirs is None or mine.layout != theirs.layout:
            return Measured(self.value + other.value)
        return Measured(self.value + other.value, Influence(mine.cluster, mine.value + theirs.value, mine.layout))

    def __sub__(self, other: Measured) -> Measured:
        return self + -1 * other

    def __rmul__(self, factor: float) -> Measured:
        mine = self.influence
        scaled = None if mine is None else Influence(mine.cluster, factor * mine.value, mine.layout)
        return Measured(factor * self.value, scaled)


def measure(metric: str, cells: Cells, aligned: Sequence[bool]) -> Measured | None:
    """A metric of one seed's cells; aligned: of every group, by number, whether it is bias-aligned.

    None for a metric that cells do not determine. NaN where a part of the test split has no example.
    """
    groups = range(len(aligned))
    if metric == "worst_group_accuracy":
        return _measure(cells, [[group] for group in groups], least=True)
    if metric == "mean_group_accuracy":
        return _measure(cells, [[group] for group in groups])
    if metric == "accuracy":
        return _measure(cells, [groups])
    if metric == "aligned_accuracy":
        return _measure(cells, [[group for group in groups if aligned[group]]])
    if metric == "conflicting_accuracy":
        return _measure(cells, [[group for group in groups if not aligned[group]]])
    return None


def measure_group(group: int, cells: Cells) -> Measured:
    """The accuracy of one group."""
    return _measure(cells, [[group]])


def measure_least(parts: Sequence[Iterable[int]], cells: Cells) -> Measured:
    """The least accuracy of parts of the test split, each given by its groups; no group is in two parts."""
    return _measure(cells, parts, least=True)


def accuracies(correct: NDArray[Any], total: NDArray[Any], part: NDArray[Any], number: int) -> NDArray[Any]:
    """The accuracy of each of `number` parts: (..., M) counts of cells in part (M,) -> (..., number); NaN if empty."""
    import numpy as np

    member = (part[:, None] == np.arange(number)).astype(float)  # (M, number)
    with np.errstate(invalid="ignore"):
        found: NDArray[Any] = (correct @ member) / (total @ member)
    return found


def first_lowest(values: NDArray[Any]) -> NDArray[Any]:
    """Where the last axis is lowest, (..., G) -> (...): the first on ties, up to rounding."""
    import numpy as np

    lowest: NDArray[Any] = np.round(values, DECIMALS).argmin(axis=-1)
    return lowest


def example_variance(influences: Sequence[Influence]) -> tuple[NDArray[Any], int]:
    """Variance of the mean over seeds from the draw of test examples, of shape (...), and the number of clusters.

    Clusters are drawn once for all seeds that test them: C / (C - 1) times the sum over the C clusters that any
    seed tests of the squared mean over seeds of a cluster's influence; a seed that does not test it adds zero. NaN
    for fewer than two clusters. It is the limit of a bootstrap of clusters, without its noise.
    """
    import numpy as np

    clusters = np.unique(np.concatenate([influence.cluster for influence in influences]))
    mean = np.zeros((*influences[0].value.shape[:-1], len(clusters)))
    for influence in influences:
        mean[..., np.searchsorted(clusters, influence.cluster)] += influence.value / len(influences)
    number = len(clusters)
    factor = number / (number - 1) if number > 1 else np.nan
    return factor * np.square(mean).sum(axis=-1), number


def _measure(cells: Cells, parts: Sequence[Iterable[int]], *, least: bool = False) -> Measured:
    """The least or the mean of the accuracies of parts, each given by its groups; no cell is in two parts."""
    import numpy as np

    part = np.full(len(cells.total), -1)
    for number, groups in enumerate(parts):
        part[np.isin(cells.group, list(groups))] = number
    inside = part >= 0
    part, total, correct = part[inside], cells.total[inside], cells.correct[..., inside]
    by_part = accuracies(correct, total, part, len(parts))  # (..., P)
    weights = np.full(by_part.shape, 1 / len(parts))
    if least:
        weights = (np.arange(len(parts)) == first_lowest(by_part)[..., None]).astype(float)
    residual = correct - by_part[..., part] * total  # (..., M)
    scaled = weights[..., part] * residual / np.bincount(part, total, len(parts))[part]
    clusters, first = np.unique(cells.cluster, return_index=True)
    value = by_part.min(axis=-1) if least else by_part.mean(axis=-1)
    return Measured(value, Influence(clusters, _by_cluster(scaled, inside, first), cells.layout))


def _by_cluster(values: NDArray[Any], inside: NDArray[Any], first: NDArray[Any]) -> NDArray[Any]:
    """Sums over cells of one cluster, (..., cells inside) -> (..., K); first (K,): where each cluster begins."""
    import numpy as np

    whole = np.zeros((*values.shape[:-1], len(inside)))
    whole[..., inside] = values
    sums: NDArray[Any] = np.add.reduceat(whole, first, axis=-1)
    return sums
