"""Ranks and tiers from paired differences: what a board resolves, and what it could. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias.statistics.estimates import FEWEST_SEEDS, LEVEL
from benchbias.statistics.family import Gaps, Pair, PValues

if TYPE_CHECKING:
    from numpy.typing import NDArray

POWER = 0.8


@dataclass(frozen=True)
class Resolution:
    """The difference that a family of paired comparisons resolves: the median over its pairs.

    pairs: how many have an interval. difference: the observed difference that Holm's first step resolves.
    with_power: the true difference that it resolves in 80 % of all repetitions.
    """

    pairs: int
    difference: float
    with_power: float


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number (Holm, 1979), in the order given; no assumption of independence."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for step, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def resolved_pairs(gaps: Gaps) -> set[Pair]:
    """(higher, lower) of every pair of rows whose means differ at 5 % after Holm's adjustment.

    gaps: of all pairs; every one counts in the adjustment, one without an interval too.
    """
    import numpy as np

    differ = _differing(gaps)
    one, other, higher = gaps.one[differ], gaps.other[differ], gaps.mean[differ] > 0
    upper, lower = np.where(higher, one, other), np.where(higher, other, one)
    return set(zip(upper.tolist(), lower.tolist(), strict=True))


def _differing(gaps: Gaps) -> NDArray[Any]:
    """Whether each gap differs from zero by Holm's procedure, bool (P,).

    In rounds: each takes all p-values that are at most the level which the rounds before have reached.
    """
    import numpy as np

    found, p_values = np.full(len(gaps), False), PValues(gaps)
    while not found.all():
        reached = p_values.at_most((1 - LEVEL) / (len(gaps) - found.sum()))
        if reached.sum() == found.sum():
            return found
        found = reached
    return found


def ranks(rows: int, better: Collection[Pair]) -> list[tuple[int, int]]:
    """Ranks that each row may have, (first, last); better: pairs (better row, worse row).

    From 1 + the number of rows that are better, to the number of rows less those that are worse. So a row with a
    wide interval has a wide range; the first number alone would flatter it.
    """
    above, below = Counter(worse for _, worse in better), Counter(upper for upper, _ in better)
    return [(1 + above[row], rows - below[row]) for row in range(rows)]


def tiers(scores: Sequence[float], resolved: Collection[Pair]) -> list[int]:
    """The largest set of rows that are resolved pairwise, the highest score first.

    Of several largest the one whose best row is highest, then its second, and so on: rows are tried in that order
    and a later set must be larger. Exact (branch and bound with a greedy colouring, after Tomita and Seki, 2003).
    """
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    apart: dict[int, set[int]] = {row: set() for row in order}
    for one, other in resolved:
        apart[one].add(other)
        apart[other].add(one)
    best: list[int] = []

    def extend(chosen: list[int], candidates: list[int]) -> None:
        nonlocal best
        if len(chosen) > len(best):
            best = chosen
        for at, row in enumerate(candidates):
            if len(chosen) + _colours(candidates[at:], apart) <= len(best):
                return
            extend([*chosen, row], [later for later in candidates[at + 1 :] if later in apart[row]])

    extend([], order)
    return best


def resolution(gaps: Gaps) -> Resolution | None:
    """The resolution of these comparisons; None where no difference has an interval over seeds."""
    import numpy as np

    known = np.flatnonzero((gaps.error > 0) & (gaps.seeds >= FEWEST_SEEDS))
    if not len(known):
        return None
    resolvable = gaps.critical(1 - (1 - LEVEL) / (2 * len(gaps)))[known] * gaps.error[known]
    powered = resolvable + gaps.critical(POWER)[known] * gaps.error[known]
    return Resolution(len(known), float(np.median(resolvable)), float(np.median(powered)))


def _colours(rows: Sequence[int], apart: Mapping[int, set[int]]) -> int:
    """An upper bound on how many of the rows are pairwise apart: no two rows of one colour are."""
    colours: list[set[int]] = []
    for row in rows:
        free = next((colour for colour in colours if not colour & apart[row]), None)
        if free is None:
            colours.append({row})
        else:
            free.add(row)
    return len(colours)
