"""Examples that are like others in one value: nearest neighbours without replacement."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from .models import Array, Indices


def nearest(values: Array, chosen: Indices, pool: Indices, numbers: Generator) -> Indices:
    """Match each example of `chosen`, in random order, with the nearest value left in `pool`; ties at random.

    values: (N,). As many as are chosen, or the whole pool if it is smaller.
    """
    left = numbers.permutation(pool)
    left = left[np.argsort(values[left], kind="stable")]
    keys, items, found = values[left].tolist(), left.tolist(), []
    for value in values[numbers.permutation(chosen)].tolist()[: len(items)]:
        place = bisect_left(keys, value)
        if place == len(keys) or (place > 0 and value - keys[place - 1] < keys[place] - value):
            place -= 1  # of equal ones any: they lie in random order
        found.append(items.pop(place))
        keys.pop(place)
    return np.array(found, dtype=np.int64)


def entropy(probabilities: NDArray[np.float32]) -> Array:
    """The entropy of the mean over models of predicted probabilities (S, N, K), in nats, (N,)."""
    mean = probabilities.mean(axis=0, dtype=float)
    terms = np.where(mean > 0, mean * np.log(np.where(mean > 0, mean, 1)), 0)
    found: Array = -terms.sum(axis=1)
    return found
