"""Differences of two populations, and how much of them is chance: blocks of seeds, models exchanged within seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchbias import Estimate

from .modes import Modes, Ties, tie_order
from .splits import blocks
from .welch import Shift, shifted, significant, welch

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from .models import Array, Comparison, Models


class Counted(NamedTuple):
    """Counts of one comparison of two populations. pie_share in %."""

    pies: float
    pie_share: float
    pruned_right: float
    dense_right: float
    neither: float
    tested: float
    significant: float
    significant_holm: float


ESTIMATED = ("pie_share", "significant", "significant_holm")


@dataclass(frozen=True)
class Counting:
    """How to count: how ties of modes are broken, how recalls are shifted, and the generator of all that is random."""

    ties: Ties
    shift: Shift
    numbers: Generator

    def order(self, models: Models) -> Array:
        """The order in which ties of votes are broken, (N, K)."""
        return tie_order(self.ties, len(models.labels), models.classes, self.numbers)

    def count(self, dense: Models, pruned: Models) -> Counted:
        modes = Modes.of(dense, pruned, self.order(dense))
        tested = welch(shifted(dense, self.shift), shifted(pruned, self.shift))
        pies, number = int(modes.pie.sum()), int((~np.isnan(tested.p)).sum())
        return Counted(pies, 100 * pies / len(modes.pie), *modes.right, number, *significant(tested))


def excess(twins: Comparison, block: int, counting: Counting) -> Array:
    """The excess of each block over A/A, (B, 3): share of PIEs in points, significant classes before and after Holm."""
    found = []
    for one, other in blocks(len(twins.dense.seeds), block, counting.numbers):
        dense = twins.dense.only(one)
        ours, chance = (counting.count(dense, models.only(other)) for models in (twins.pruned, twins.dense))
        found.append([getattr(ours, name) - getattr(chance, name) for name in ESTIMATED])
    return np.array(found)


def over_blocks(found: Array) -> list[Estimate]:
    """Means over P partitions and B blocks of values (P, B, M), with t intervals over the blocks of a partition.

    The variance is that of the mean of one partition, s^2 / B, in mean over partitions: the mean of all partitions
    varies less, so the interval is conservative.
    """
    number = found.shape[1]
    error = np.sqrt(found.var(axis=1, ddof=1).mean(axis=0) / number)  # (M,)
    mean = found.mean(axis=(0, 1))
    return [Estimate.of(float(m), float(e), number - 1, number) for m, e in zip(mean, error, strict=True)]


def exchange_p(twins: Comparison, exchanges: int, counting: Counting) -> tuple[float | None, float | None]:
    """P-values by exchange of PIEs and of significant classes; None without exchanges.

    In each exchange the two models of every seed change places or not, at random. All exchanges are alike if pruning
    changes nothing, or, for classes, nothing but each model's accuracy: the test is exact (Fisher, 1935). p is the
    share of exchanges, the observed one among them, with as many PIEs or classes or more.
    """
    if exchanges == 0:
        return None, None
    order = counting.order(twins.dense)
    dense, pruned = (shifted(models, counting.shift) for models in (twins.dense, twins.pruned))  # (S, K)

    def found(swap: NDArray[np.bool_]) -> tuple[int, int]:
        """swap: (S, 1)."""
        modes = Modes.of(*exchanged(twins, swap), order)
        tested = welch(np.where(swap, pruned, dense), np.where(swap, dense, pruned))
        return int(modes.pie.sum()), significant(tested)[0]

    seeds = len(twins.dense.seeds)
    observed = np.array(found(np.zeros((seeds, 1), dtype=bool)))
    drawn = np.array([found(counting.numbers.random((seeds, 1)) < 0.5) for _ in range(exchanges)])
    pies, classes = (1 + (drawn >= observed).sum(axis=0)) / (1 + exchanges)
    return float(pies), float(classes)


def exchanged(twins: Comparison, swap: NDArray[np.bool_]) -> tuple[Models, Models]:
    """Both populations after the models of some seeds changed places; swap: (S, 1)."""
    dense, pruned = twins.dense.predicted, twins.pruned.predicted
    return (
        replace(twins.dense, predicted=np.where(swap, pruned, dense)),
        replace(twins.pruned, predicted=np.where(swap, dense, pruned)),
    )
