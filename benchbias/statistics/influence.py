"""Metrics that are functions of test cells: their value, and how much each example cluster adds to it. No torch.

Every such metric is the least or the mean of the accuracies of some parts of the test split, where a part is a set
of groups: all groups (`accuracy`), the aligned ones, each group alone. An accuracy is a ratio of sums over clusters,
so its influence is that of a ratio estimator (Cochran, Sampling Techniques, 1977, chapter 6).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchbias.statistics.least import bias_of_least

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.statistics.cells import Cells

UNBOUNDED = (-math.inf, math.inf)
LEASTS = ("worst_group_accuracy", "worst_class_accuracy")
"""Metrics that are the least of several accuracies, and so biased where these are counted on few examples."""
DECIMALS = 12  # accuracies that differ by less are tied: rounding must not choose the worst group


@dataclass(frozen=True, eq=False)
class Influence:
    """The amount that each of K example clusters adds to one seed's value, to first order.

    cluster: (K,). value: (..., K), summing to zero over the clusters. layout: the digest of the test split. size: the
    number of clusters that decide the value, (...) or a number: those of the worst group alone; None: all K.
    """

    cluster: NDArray[Any]
    value: NDArray[Any]
    layout: str
    size: NDArray[Any] | float | None = None

    @property
    def clusters(self) -> NDArray[Any] | float:
        """The number of clusters that decide the value."""
        return len(self.cluster) if self.size is None else self.size


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of one seed: a value of shape (...), and its influence; None where only the value is known.

    The value is NaN where the metric is undefined. bias: the expected value minus the true one, which the least of
    several counted accuracies has; an estimate over seeds takes it off. bounds: what the value cannot leave. Sums,
    differences and multiples are of all of these; a sum of metrics on different test splits has no influence.
    """

    value: NDArray[Any] | float
    influence: Influence | None = None
    bias: NDArray[Any] | float = 0.0
    bounds: tuple[float, float] = UNBOUNDED

    def __add__(self, other: Measured) -> Measured:
        low, high = (one + two for one, two in zip(self.bounds, other.bounds, strict=True))
        influence = _added(self.influence, other.influence)
        return Measured(self.value + other.value, influence, self.bias + other.bias, (low, high))

    def __sub__(self, other: Measured) -> Measured:
        (low, high), (less, more) = self.bounds, other.bounds
        influence = _added(self.influence, other.influence, -1)
        return Measured(self.value - other.value, influence, self.bias - other.bias, (low - more, high - less))

    def __rmul__(self, factor: float) -> Measured:
        mine = self.influence
        scaled = None if mine is None else replace(mine, value=factor * mine.value)
        low, high = sorted(factor * bound if factor else 0.0 for bound in self.bounds)
        return Measured(factor * self.value, scaled, factor * self.bias, (low, high))


def unstacked(measured: Measured) -> list[Measured]:
    """The metric of each seed, from that of all seeds on one test split: value (S,), influence (S, K)."""
    import numpy as np

    whole, number = measured.influence, len(np.atleast_1d(measured.value))
    values, bias = np.atleast_1d(measured.value), np.broadcast_to(measured.bias, number)
    if whole is None:
        return [Measured(value, None, one, measured.bounds) for value, one in zip(values, bias, strict=True)]
    sizes = np.broadcast_to(whole.clusters, number)
    influences = [replace(whole, value=value, size=size) for value, size in zip(whole.value, sizes, strict=True)]
    parts = zip(values, influences, bias, strict=True)
    return [Measured(value, influence, one, measured.bounds) for value, influence, one in parts]


def _added(one: Influence | None, other: Influence | None, sign: int = 1) -> Influence | None:
    import numpy as np

    if one is None or other is None or one.layout != other.layout:
        return None
    value = one.value + other.value if sign > 0 else one.value - other.value
    return Influence(one.cluster, value, one.layout, np.minimum(one.clusters, other.clusters))


def measure(
    metric: str,
    cells: Cells,
    aligned: Sequence[bool],
    classes: int | None = None,
    trained: Sequence[int] | None = None,
) -> Measured | None:
    """A metric of one seed's cells; aligned: of every group, by number, whether it is bias-aligned.

    classes: how many there are; the groups of one class follow each other. trained: the number of training examples
    of every group. None for a metric that cells do not determine. NaN where a part of the test split has no example.
    """
    groups = range(len(aligned))
    if metric == "worst_class_accuracy" and classes:
        size = len(groups) // classes
        return _measure(cells, [groups[start : start + size] for start in groups[::size]], least=True)
    if metric == "accuracy_train_weighted" and trained and any(trained):
        present = [group for group in groups if trained[group]]
        shares = [trained[group] / sum(trained) for group in present]
        return _measure(cells, [[group] for group in present], shares)
    if metric == "spurious_attribute_accuracy" and classes == 2:
        return _spurious(cells, aligned)
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


def drawn_clusters(influences: Sequence[Influence]) -> NDArray[Any]:
    """The example clusters that any of the seeds tests, in order."""
    import numpy as np

    first = influences[0].cluster
    others = {id(one.cluster): one.cluster for one in influences if one.cluster is not first}
    if all(np.array_equal(one, first) for one in others.values()):
        return first
    return np.unique(np.concatenate([first, *others.values()]))


def example_variance(influences: Sequence[Influence]) -> tuple[NDArray[Any], int]:
    """Variance of the mean over seeds from the draw of test examples, of shape (...), and the number of clusters.

    Clusters are drawn once for all seeds that test them: C / (C - 1) times the sum over the C clusters that any
    seed tests of the squared mean over seeds of a cluster's influence; a seed that does not test it adds zero. NaN
    for fewer than two clusters. It is the limit of a bootstrap of clusters, without its noise.
    """
    mean = mean_influence(influences, drawn_clusters(influences))
    return variance_of_draw(mean), mean.shape[-1]


def variance_of_draw(mean: NDArray[Any]) -> NDArray[Any]:
    """The variance of a mean over seeds from the draw of C clusters, of their mean influence (..., C) -> (...)."""
    import numpy as np

    number = mean.shape[-1]
    variance: NDArray[Any] = np.square(mean).sum(axis=-1) * (number / (number - 1) if number > 1 else np.nan)
    return variance


def mean_influence(influences: Sequence[Influence], clusters: NDArray[Any]) -> NDArray[Any]:
    """The mean over seeds of each cluster's influence, (..., C); clusters (C,): all that any seed tests, in order."""
    import numpy as np

    mean = np.zeros((*influences[0].value.shape[:-1], len(clusters)))
    for influence in influences:
        mean[..., np.searchsorted(clusters, influence.cluster)] += influence.value / len(influences)
    return mean


def _spurious(cells: Cells, aligned: Sequence[bool]) -> Measured | None:
    """The share of answers that the attribute alone would give: of two classes, right ones where it is aligned.

    None where an attribute is aligned with both classes.
    """
    import numpy as np

    half = len(aligned) // 2
    if any(aligned[at] and aligned[half + at] for at in range(half)):
        return None
    told = [group for group in range(2 * half) if aligned[group % half] or aligned[half + group % half]]
    sides = [[group for group in told if aligned[group] == side] for side in (True, False)]
    right, wrong = (cells.total[np.isin(cells.group, side)].sum() for side in sides)
    if not right or not wrong:
        return None
    share = float(right / (right + wrong))
    found = share * _measure(cells, [sides[0]]) - (1 - share) * _measure(cells, [sides[1]])
    return replace(found, value=found.value + (1 - share), bounds=(0.0, 1.0))


def _measure(
    cells: Cells, parts: Sequence[Iterable[int]], shares: Sequence[float] | None = None, *, least: bool = False
) -> Measured:
    """The least or the mean of the accuracies of parts, each given by its groups; no cell is in two parts.

    shares: the weights of the mean, equal ones by default.
    """
    import numpy as np

    part = np.full(len(cells.total), -1)
    for number, groups in enumerate(parts):
        part[np.isin(cells.group, list(groups))] = number
    inside = part >= 0
    part, total, correct = part[inside], cells.total[inside], cells.correct[..., inside]
    by_part = accuracies(correct, total, part, len(parts))  # (..., P)
    order, starts = _by_part_and_cluster(part, cells.cluster[inside])
    clusters = np.bincount(part[order][starts], minlength=len(parts))  # (P,)
    weights = np.broadcast_to(1 / len(parts) if shares is None else np.asarray(shares), by_part.shape)
    if least:
        weights = (np.arange(len(parts)) == first_lowest(by_part)[..., None]).astype(float)
    residual = correct - by_part[..., part] * total  # (..., M)
    unweighted = residual / np.bincount(part, total, len(parts))[part]
    drawn, first = np.unique(cells.cluster, return_index=True)
    influence = _by_cluster(weights[..., part] * unweighted, inside, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 1 / (weights**2 / clusters).sum(axis=-1, where=weights > 0)
    value = by_part.min(axis=-1) if least else (weights * by_part).sum(axis=-1)
    bias: NDArray[Any] | float = 0.0
    if least:
        drawn_apart = np.add.reduceat(unweighted[..., order], starts, axis=-1)  # a cluster and part each
        bias = bias_of_least(by_part, _independent(by_part, drawn_apart, clusters))
    return Measured(value, Influence(drawn, influence, cells.layout, size), bias, (0.0, 1.0))


def _by_part_and_cluster(part: NDArray[Any], cluster: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The order of cells (M,) that brings those of one part and cluster together, and where each such run starts."""
    import numpy as np

    order = np.lexsort((cluster, part))
    new = (np.diff(part[order]) != 0) | (np.diff(cluster[order]) != 0)
    return order, np.flatnonzero(np.concatenate([[True], new])[: len(order)])


def _independent(by_part: NDArray[Any], drawn_apart: NDArray[Any], clusters: NDArray[Any]) -> NDArray[Any]:
    """The number of independent examples that would give the accuracies their variance: (..., P).

    drawn_apart: the amount that each cluster adds to its part's accuracy, (..., K'). The number is at least that of
    the clusters of a part; copies of one cluster make it larger where they do not all agree. One ratio serves all
    parts, since one part's is too uncertain.
    """
    import numpy as np

    binomial = (by_part * (1 - by_part) / np.maximum(clusters, 1)).sum(axis=-1, keepdims=True)
    drawn = np.square(drawn_apart).sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where((binomial > 0) & (drawn > 0), drawn / binomial, 1.0)
    number: NDArray[Any] = np.maximum(clusters, 2) / np.minimum(effect, 1.0)
    return number


def _by_cluster(values: NDArray[Any], inside: NDArray[Any], first: NDArray[Any]) -> NDArray[Any]:
    """Sums over cells of one cluster, (..., cells inside) -> (..., K); first (K,): where each cluster begins."""
    import numpy as np

    whole = np.zeros((*values.shape[:-1], len(inside)))
    whole[..., inside] = values
    sums: NDArray[Any] = np.add.reduceat(whole, first, axis=-1)
    return sums
