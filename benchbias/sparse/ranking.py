"""Values ranked once, and the highest of them marked for any number: partitions on a CPU, one sort on a card."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Highest = Callable[[int], Tensor]
"""A number of values -> which are the highest, bool (N,): exactly so many, of equal values the first."""


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
    torch. What is known of the order changes; what is answered does not.
    """

    def __init__(self, values: np.ndarray[Any, Any], among: np.ndarray[Any, Any] | None) -> None:
        self.values, self.among = values, among
        # by their positions: five times as fast as values[among]
        self.inside = values.copy() if among is None else values.take(np.flatnonzero(among))
        self.known: list[int] = []  # positions of `inside` that hold what a sort would put there, in order
        top = self.inside.max(initial=-np.inf) if values.dtype.kind == "f" else 0
        self.comparable = not np.isnan(top)

    def __call__(self, count: int) -> Tensor:
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
        if short:
            equal = self.values == highest_below
            marked[np.flatnonzero(equal if self.among is None else equal & self.among)[:short]] = True
        return torch.from_numpy(marked)

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
    order = torch.sort(values.detach(), descending=True, stable=True).indices
    inside = torch.ones_like(order) if among is None else among[order].long()
    place = torch.empty_like(order)
    place[order] = inside.cumsum(0)  # from 1; a sum of whole numbers is deterministic on a card too

    def highest(count: int) -> Tensor:
        within = place <= count
        return within if among is None else within & among

    return highest
