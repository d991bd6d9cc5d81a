"""Rankings: the neurons of the largest scores, of the network or of each layer, at once or one after another."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import torch

from benchbias import BenchbiasError

from .neurons import Linear, Neuron, restored, rows, slice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import Tensor

Scope = Literal["network", "layer"]
Order = Literal["largest", "smallest_as_published"]
Reranked = Literal["largest", "reranked", "smallest_as_published"]


def wanted_count(total: int, count: int, fraction: float) -> int:
    """The number of neurons taken of `total`: `count`, or ceil(fraction x total) where that is more.

    Raises BenchbiasError where there are fewer.
    """
    number = max(count, math.ceil(Decimal(str(fraction)) * total))
    if number > total:
        raise BenchbiasError(f"{number} critical neurons of {total} cannot be taken")
    return number


def ranked(
    scores: Mapping[str, Tensor],
    count: int,
    fraction: float = 0.0,
    scope: Scope = "network",
    order: Order = "largest",
) -> list[Neuron]:
    """The neurons of the largest scores, first the largest: in the network or in each layer; of equal the first."""
    found: list[Neuron] = []
    for names in places(scores, scope):
        numbered = [(name, number) for name in names for number in range(len(scores[name]))]
        flat = torch.cat([scores[name] for name in names])
        by_size = torch.sort(flat, descending=order == "largest", stable=True).indices
        found += [numbered[at] for at in by_size[: wanted_count(len(flat), count, fraction)].tolist()]
    return found


def places(names: Iterable[str], scope: Scope) -> list[list[str]]:
    """The weights that are ranked together: all of the network, or each on its own."""
    return [list(names)] if scope == "network" else [[name] for name in names]


def reranked(
    weights: Mapping[str, Tensor],
    scores: Callable[[], Mapping[str, Tensor]],
    count: int,
    fraction: float = 0.0,
    scope: Scope = "network",
    linear: Linear = "units",
) -> list[Neuron]:
    """Take the top neuron, zero it and score again, until as many are taken; then put the weights back."""
    sizes = {name: len(rows(weight, linear)) for name, weight in weights.items()}
    wanted = [
        (names, wanted_count(sum(sizes[name] for name in names), count, fraction)) for names in places(sizes, scope)
    ]
    chosen: list[Neuron] = []
    with restored(weights):
        for turn in range(max((number for _, number in wanted), default=0)):
            now = {name: score.clone() for name, score in scores().items()}
            for name, number in chosen:
                now[name][number] = -math.inf
            new = [top for names, number in wanted if turn < number for top in ranked({n: now[n] for n in names}, 1)]
            for name, number in new:
                slice_of(weights[name], number, linear).zero_()
            chosen += new
    return chosen
