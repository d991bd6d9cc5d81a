"""Values ranked once, and the highest of them marked for any number: partitions on a CPU, one sort on a card."""

from __future__ import annotations

import bisect
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

MANY = 8  # zeros: one in so many


class Highest(Protocol):
    """Values that are ranked."""

    def __call__(self, count: int, ties: bool = True) -> Tensor:
        """Mark the `count` highest, bool (N,): of values equal to the highest one left over the first ones, or none."""


def highest(
    values: Tensor, count: int, among: Tensor | None = None, *, ties: Literal["first", "none"] = "first"
) -> Tensor:
    """Mark the `count` highest values, bool of their shape, on their device.

    among: bool of the same shape, the values that are ranked; all if not given. ties: of values equal to the highest
    one that is left over, the first are marked until there are `count`, or none, and then fewer are: those above it
    by `>`, as NaN never is. Otherwise NaN is higher than all else. Raises ValueError for a count below 0, or of more
    values than there are.
    """
    inside = None if among is None else among.to(values.device).flatten()
    there = values.numel() if inside is None else int(inside.count_nonzero())
    if not 0 <= count <= there:
        raise ValueError(f"{count} of {there} values cannot be marked")
    return ranked(values.flatten(), inside)(count, ties == "first").view(values.shape)


def ranked(values: Tensor, among: Tensor | None = None) -> Highest:
    """Rank values (N,) of any real dtype, or those `among` them, bool (N,); nobody may change them afterwards.

    NaN is higher than all else. The work is done where the values are.
    """
    if values.device.type != "cpu":
        return by_sorting(values, among)
    shown = values.detach().contiguous()
    if shown.is_floating_point() and shown.dtype != torch.float64:
        shown = shown.float()  # numpy has no bfloat16; all narrower floats have the same order as singles
    part = _Partitioned(shown.numpy(), None if among is None else among.contiguous().numpy())
    return part if part.comparable else by_sorting(values, among)


class _Partitioned:
    """Ranks numbers as they are asked for: each partition only orders what the ones before left in one piece.

    So many levels cost little more than one, and none needs to be known before. numpy partitions ten times as fast as
    torch, but thirty times slower where very many values are equal: zeros, which prune weights, get a place at first.
    What is known of the order changes; what is answered does not.
    """

    def __init__(self, values: np.ndarray[Any, Any], among: np.ndarray[Any, Any] | None) -> None:
        self.values, self.among = values, among
        # by their positions: five times as fast as values[among]
        inside = values if among is None else values.take(np.flatnonzero(among))
        self.known: list[int] = []  # positions of `inside` that hold what a sort would put there, in order
        top = inside.max(initial=-np.inf) if values.dtype.kind == "f" else 0
        self.comparable = not np.isnan(top)
        zeros = len(inside) - int(np.count_nonzero(inside))
        if self.comparable and zeros > len(inside) // MANY:
            self.inside = self._with_zeros_placed(inside, zeros)
        else:
            self.inside = inside.copy() if inside is values else inside

    def __call__(self, count: int, ties: bool = True) -> Tensor:
        below = len(self.inside) - count
        if count == 0:
            return torch.zeros(len(self.values), dtype=torch.bool)
        if below == 0:
            whole = np.ones(len(self.values), dtype=np.bool_) if self.among is None else self.among.copy()
            return torch.from_numpy(whole)
        highest_below = self._at(below - 1)
        marked = self.values > highest_below
        if self.among is not None:
            marked &= self.among
        short = count - int(np.count_nonzero(marked))
        if short and ties:
            equal = self.values == highest_below
            marked[np.flatnonzero(equal if self.among is None else equal & self.among)[:short]] = True
        return torch.from_numpy(marked)

    def _with_zeros_placed(self, inside: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
        """Put all zeros where a sort would put them: before them what is below, behind them what is above."""
        parts = [inside.take(np.flatnonzero(side)) for side in (inside < 0, inside > 0)]
        self.known = sorted({len(parts[0]), len(parts[0]) + count - 1})
        return np.concatenate([parts[0], np.zeros(count, inside.dtype), parts[1]])

    def _at(self, position: int) -> Any:
        """The value that stands at a position of `inside` once it is sorted."""
        at = bisect.bisect_left(self.known, position)
        if at == len(self.known) or self.known[at] != position:
            start = self.known[at - 1] + 1 if at else 0
            stop = self.known[at] if at < len(self.known) else len(self.inside)
            self.inside[start:stop].partition(position - start)
            self.known.insert(at, position)
        return self.inside[position]


def by_sorting(values: Tensor, among: Tensor | None = None) -> Highest:
    """Rank values by one stable sort where they are; nothing there waits for the CPU."""
    ordered, order = torch.sort(values.detach(), descending=True, stable=True)
    inside = torch.ones_like(order) if among is None else among[order].long()
    counted = inside.cumsum(0)  # from 1; a sum of whole numbers is deterministic on a card too
    place = torch.empty_like(order)
    place[order] = counted

    def marked(count: int, ties: bool = True) -> Tensor:
        within = place <= count if among is None else (place <= count) & among
        if ties or not len(order):
            return within
        next_one = torch.searchsorted(counted, count + 1).view(1)
        left_over = ordered.index_select(0, next_one.clamp(max=len(order) - 1))
        return within & ((values > left_over) | (next_one == len(order)))

    return marked
