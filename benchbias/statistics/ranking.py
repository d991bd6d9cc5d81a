"""Ranks and tiers from paired differences: what a board tells apart, and what it could. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from benchbias.statistics.estimates import LEVEL, Estimate, p_value

POWER = 0.8

Pair = tuple[int, int]


@dataclass(frozen=True)
class Resolution:
    """The difference that a family of paired comparisons tells apart: the median over its pairs.

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


def resolved_pairs(differences: Mapping[Pair, Estimate | None]) -> set[Pair]:
    """(higher, lower) of every pair of rows whose means are told apart at 5 % after Holm's adjustment.

    differences: by (one, other), the estimate of one - other; every one counts in the adjustment.
    """
    gaps = list(differences.items())
    found = set()
    for ((one, other), gap), adjusted in zip(gaps, holm([p_value(gap) for _, gap in gaps]), strict=True):
        if gap is not None and adjusted <= 1 - LEVEL:
            found.add((one, other) if gap.mean > 0 else (other, one))
    return found


def ranks(rows: int, better: Collection[Pair]) -> list[tuple[int, int]]:
    """Ranks that each row may have, (first, last); better: pairs (better row, worse row).

    From 1 + the number of rows that are better, to the number of rows less those that are worse. So a row with a
    wide interval has a wide range; the first number alone would flatter it.
    """
    above = [sum(worse == row for _, worse in better) for row in range(rows)]
    below = [sum(upper == row for upper, _ in better) for row in range(rows)]
    return [(1 + over, rows - under) for over, under in zip(above, below, strict=True)]


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


def resolution(differences: Mapping[Pair, Estimate | None]) -> Resolution | None:
    """The resolution of these comparisons; None where no difference has an interval over seeds."""
    resolvable, powered = [], []
    for gap in differences.values():
        if gap is not None and gap.half_width is not None and gap.over_seeds:
            resolvable.append(gap.critical(1 - (1 - LEVEL) / (2 * len(differences))) * gap.error)
            powered.append(resolvable[-1] + gap.critical(POWER) * gap.error)
    if not resolvable:
        return None
    return Resolution(len(resolvable), statistics.median(resolvable), statistics.median(powered))


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
