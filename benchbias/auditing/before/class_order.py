"""Classes in a wrong order: a class that is nearly always called another one, or two that are called each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAIR = 0.3  # of a class, that an honest model has right at least
RARE = 0.01  # chance that bad luck alone looks like this in any class of such a model
WRONG = 0.05  # of a class that is nearly all wrong, at most so many are right
MANY = 20  # labels, beyond which two are likely to be near one another, as a missile and a projectile
MOST, NEARLY = 0.5, 0.8  # of such a class go to one other, with few labels and with many
SWAPPED, MUTUAL = 0.2, 0.6  # of two swapped classes, at most so many are right, and at least so many called the other


@dataclass(frozen=True)
class MixedUp:
    """A class that is called another one. label, other: codes; wrong, times: of its n examples, wrong and called so."""

    label: int
    other: int
    n: int
    wrong: int
    times: int


def mixed_up(label: NDArray[Any], answer: NDArray[Any], classes: int) -> list[MixedUp]:
    """The classes whose answers look as if their order was wrong, by rising code. label, answer: int (N,), from 0.

    The luck of a class is the chance that so few are right by a binomial of an honest model; it counts for as many
    classes as there are labels. So neither few examples nor hard classes among a thousand look like a wrong order.
    """
    pairs, counts = np.unique(label * classes + answer, return_counts=True)
    labels, given = np.divmod(pairs, classes)
    totals = np.bincount(label, minlength=classes)
    right = np.zeros(classes, np.int64)
    right[labels[labels == given]] = counts[labels == given]
    other, times = np.full(classes, -1), np.zeros(classes, np.int64)
    wrong = labels != given
    order = np.lexsort((-given[wrong], counts[wrong]))  # of equally frequent ones the first
    other[labels[wrong][order]], times[labels[wrong][order]] = given[wrong][order], counts[wrong][order]
    present = int((totals > 0).sum())
    luck = special.bdtr(right, totals, FAIR)
    share = right / np.maximum(totals, 1)
    alone = (share <= WRONG) & (times >= (MOST if present <= MANY else NEARLY) * totals) & (luck * present <= RARE)
    able = (share <= SWAPPED) & (times >= MUTUAL * totals)
    mutual = able & able[other] & (other[other] == np.arange(classes)) & (luck * luck[other] * present <= RARE)
    return [
        MixedUp(int(at), int(other[at]), int(totals[at]), int(totals[at] - right[at]), int(times[at]))
        for at in np.flatnonzero((alone | mutual) & (totals > 0) & (other >= 0))
    ]
