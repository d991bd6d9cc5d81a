"""Controls: other neurons of the same layers, and how near their norms are to those of the critical ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...methods.critical_neurons.neurons import Neuron, matched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

    from .network import ByGroup


def first(by_group: ByGroup, place: str, count: int) -> ByGroup:
    """The first `count` neurons of each ranking: of the network, or of those of one layer."""
    return {
        group: [neuron for neuron in neurons if place in ("network", neuron[0])][:count]
        for group, neurons in by_group.items()
    }


def matched_controls(
    target: ByGroup, norms: Mapping[str, Tensor], nearest: int, count: int, generator: torch.Generator
) -> list[ByGroup]:
    """`count` sets of other neurons; none where a layer has too few."""
    found: list[ByGroup] = []
    for _ in range(count):
        others = {group: matched(neurons, norms, nearest, generator) for group, neurons in target.items()}
        whole = {group: neurons for group, neurons in others.items() if neurons is not None}
        if len(whole) < len(others):
            return []
        found.append(whole)
    return found


def norm_ratio(target: ByGroup, others: Sequence[ByGroup], norms: Mapping[str, Tensor]) -> float | None:
    """The controls' norm over that of the critical neurons, averaged over controls and groups: 1 is a perfect match."""

    def norm(neurons: Sequence[Neuron]) -> float:
        return math.sqrt(math.fsum(float(norms[name][number]) ** 2 for name, number in neurons))

    pairs = [(norm(other[group]), norm(neurons)) for other in others for group, neurons in target.items()]
    ratios = [control / own for control, own in pairs if own]
    return math.fsum(ratios) / len(ratios) if ratios else None
