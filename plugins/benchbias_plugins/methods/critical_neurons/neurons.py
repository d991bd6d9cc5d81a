"""Neurons: their norms, their slices of a weight, others like them, and masks without them.

A neuron is one output channel of a convolution (its slice z_i of the weight) or one unit of a linear layer. In the
released code it is one scalar weight of a linear layer.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from benchbias import Mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

Neuron: TypeAlias = tuple[str, int]  # the weight's name and the neuron's number in it
Linear = Literal["units", "weights"]


def neuron_norms(tensors: Mapping[str, Tensor], linear: Linear = "units") -> dict[str, Tensor]:
    """||z_i||_2 of the neurons of each weight (or gradient): float64 (O,); (O I,) where each scalar is a neuron."""
    return {name: rows(tensor, linear).double().norm(dim=1).cpu() for name, tensor in tensors.items()}


def rows(tensor: Tensor, linear: Linear) -> Tensor:
    """The neurons of a weight as rows."""
    flat = tensor.detach()
    return flat.reshape(-1, 1) if flat.ndim == 2 and linear == "weights" else flat.flatten(1)


def slice_of(weight: Tensor, number: int, linear: Linear) -> Tensor:
    """One neuron's weights, a view."""
    return (
        weight.data.view(-1)[number : number + 1] if weight.ndim == 2 and linear == "weights" else weight.data[number]
    )


def matched(
    neurons: Sequence[Neuron], norms: Mapping[str, Tensor], nearest: int, generator: torch.Generator
) -> list[Neuron] | None:
    """Another neuron of its layer for each, drawn from the `nearest` ones in norm that are neither critical nor taken.

    None where a layer has none left.
    """
    taken = set(neurons)
    found = []
    for name, number in neurons:
        free = torch.tensor(
            [other for other in range(len(norms[name])) if (name, other) not in taken], dtype=torch.int64
        )
        if not len(free):
            return None
        close = free[(norms[name][free] - norms[name][number]).abs().sort(stable=True).indices[:nearest]]
        pick = int(close[torch.randint(len(close), (), generator=generator)])
        taken.add((name, pick))
        found.append((name, pick))
    return found


def neuron_mask(weights: Mapping[str, Tensor], neurons: Sequence[Neuron], linear: Linear) -> Mask:
    """A mask that keeps everything but these neurons."""
    kept = {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}
    for name, number in neurons:
        slice_of(kept[name], number, linear).fill_(False)
    return Mask(kept, units=True)


def held(tensors: Mapping[str, Tensor], mask: Mask | None) -> dict[str, Tensor]:
    """Tensors by weight, zero where the mask in force has removed the weight."""
    kept = mask.tensors if mask is not None else {}
    return {name: t * kept[name].to(t.device) if name in kept else t for name, t in tensors.items()}


@contextmanager
def restored(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Weights may be changed in the block; afterwards they are as before."""
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    try:
        yield
    finally:
        for name, weight in weights.items():
            weight.data.copy_(before[name])
