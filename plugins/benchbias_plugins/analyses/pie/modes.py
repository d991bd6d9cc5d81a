"""Modal labels of a population of models, and the examples on which two populations differ: the PIEs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from .models import Array, Indices, Models

Ties = Literal["random", "largest"]


def votes(models: Models) -> Indices:
    """How many models predict each class for each example, (N, K)."""
    examples = len(models.labels)
    places = np.arange(examples) * models.classes + models.predicted  # (S, N)
    counts = np.bincount(places.ravel(), minlength=examples * models.classes)
    return counts.reshape(examples, models.classes)


def tie_order(ties: Ties, examples: int, classes: int, numbers: Generator) -> Array:
    """Numbers below 1/2 that break ties of votes (N, K): at random for every example, or the largest class first.

    Both populations of a comparison are given the same, so that equal votes have equal modes. The released code
    breaks ties as "largest" does.
    """
    order = numbers.random((examples, classes))
    if ties == "largest":
        order = np.broadcast_to(np.arange(classes) / classes, (examples, classes)).copy()
    return order / 2


@dataclass(frozen=True, eq=False)
class Modes:
    """The modal labels of two populations, (N,) each, and the true labels (N,)."""

    dense: Indices
    pruned: Indices
    labels: Indices

    @staticmethod
    def of(dense: Models, pruned: Models, order: Array) -> Modes:
        """order: of `tie_order`."""
        return Modes((votes(dense) + order).argmax(axis=1), (votes(pruned) + order).argmax(axis=1), dense.labels)

    @property
    def pie(self) -> NDArray[np.bool_]:
        """Where the modal labels differ, (N,); the true label plays no part."""
        found: NDArray[np.bool_] = self.dense != self.pruned
        return found

    @property
    def right(self) -> tuple[int, int, int]:
        """Numbers of PIEs whose true label is the pruned mode, the dense mode, and neither."""
        pruned, dense = (int((self.pie & (mode == self.labels)).sum()) for mode in (self.pruned, self.dense))
        return pruned, dense, int(self.pie.sum()) - pruned - dense
