"""Masks: which weights are kept; random masks; drop and grow; what goes with removed units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.network.inspect import look
from benchbias.network.weights import ROWS
from benchbias.sparse.ranking import ranked


@dataclass(frozen=True)
class Mask:
    """parameter name -> bool tensor of the parameter's shape, True = kept.

    attached: masks (O,) of the biases and batch-norm parameters that go with removed units; they are enforced
    but not counted. Raises TypeError for another dtype.
    """

    tensors: Mapping[str, Tensor]
    units: bool = False
    attached: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, tensor in (*self.tensors.items(), *self.attached.items()):
            if not isinstance(tensor, Tensor) or tensor.dtype != torch.bool:
                raise TypeError(f"the mask of {name!r} must be a bool tensor, not {getattr(tensor, 'dtype', tensor)}")
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        object.__setattr__(self, "attached", MappingProxyType(dict(self.attached)))

    def counts(self) -> dict[str, int]:
        """Kept weights a tensor. On a card the CPU waits once for all of them."""
        found = [tensor.count_nonzero() for tensor in self.tensors.values()]  # a third of the time of sum
        together = torch.stack([count.to(found[0].device) for count in found]).tolist() if found else []
        return dict(zip(self.tensors, together, strict=True))

    def to(self, device: torch.device | str) -> Mask:
        """The mask on a device; itself where it is there already."""
        placed = [{name: tensor.to(device) for name, tensor in part.items()} for part in (self.tensors, self.attached)]
        there = all(
            one is other
            for part, own in zip(placed, (self.tensors, self.attached), strict=True)
            for one, other in zip(part.values(), own.values(), strict=True)
        )
        return self if there else Mask(placed[0], self.units, placed[1])

    @property
    def density(self) -> float:
        """The fraction kept of the weights that the mask covers."""
        total = sum(tensor.numel() for tensor in self.tensors.values())
        return sum(self.counts().values()) / total if total else 1.0

    @property
    def sparsity(self) -> float:
        """The fraction removed of the weights that the mask covers."""
        return 1.0 - self.density

    def intersect(self, other: Mask) -> Mask:
        """Keep what both keep; a tensor that only one mask covers is as in that one."""
        units = self.units or other.units  # a unit of which nothing is kept is removed, whoever removed it
        return Mask(_both(self.tensors, other.tensors), units, _both(self.attached, other.attached))

    def check(self, parameters: Mapping[str, Tensor]) -> Mask:
        """Refuse names that the model does not have, and other shapes. Raises ValueError."""
        for name, tensor in (*self.tensors.items(), *self.attached.items()):
            if name not in parameters:
                raise ValueError(f"the mask names {name!r}; the model's parameters are {', '.join(parameters)}")
            if tensor.shape != parameters[name].shape:
                raise ValueError(
                    f"the mask of {name!r} has shape {tuple(tensor.shape)}, not {tuple(parameters[name].shape)}"
                )
        return self


def _both(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Tensor]:
    shared = {name: tensor & other[name].to(tensor.device) for name, tensor in one.items() if name in other}
    return {**one, **other, **shared}


_KEEPS_ZERO = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Hardswish, nn.Identity),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
    *(nn.AdaptiveMaxPool2d, nn.Dropout, nn.Dropout1d, nn.Dropout2d),
)
"""Modules that make zero channels of zero channels and keep the channels apart."""


def with_attached(mask: Mask, model: nn.Module, images: Tensor) -> Mask:
    """Add the biases and batch-norm parameters of removed units, else the slimmed network is another function.

    Which batch norm follows which layer, perhaps behind activations and pooling, is read off one forward pass of
    `images` (1, C, H, W).
    """
    if not mask.units:
        return mask
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    attached: dict[str, Tensor] = {}
    made: dict[int, Tensor] = {}  # the kept channels of an output
    outputs: list[Tensor] = []  # keeps the outputs alive, so that no id is used twice
    called: set[nn.Module] = set()

    def attach(module: nn.Module, parameters: Iterable[str], kept: Tensor) -> None:
        for parameter in parameters:
            name = names.get(id(getattr(module, parameter, None)))
            if name is not None:  # where it goes with several layers, what one of them keeps is kept
                attached[name] = attached[name] | kept if name in attached else kept

    def watch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        units = _kept_units(module, mask, names)
        source = next((made[id(given)] for given in (*args, *kwargs.values()) if id(given) in made), None)
        if units is not None:
            called.add(module)
            attach(module, ("bias",), units)
        elif source is not None and isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            attach(module, ("weight", "bias"), source)
        kept = source if units is None and isinstance(module, _KEEPS_ZERO) else units
        if kept is not None:
            made[id(output)] = kept
            outputs.append(output)

    look(model, images, [module for module in model.modules() if not list(module.children())], watch)
    for module in model.modules():  # those whose weights are used without a call of them
        units = None if module in called else _kept_units(module, mask, names)
        if units is not None:
            attach(module, ("bias",), units)
    return Mask(mask.tensors, units=True, attached=attached)


def _kept_units(module: nn.Module, mask: Mask, names: Mapping[int, str]) -> Tensor | None:
    """The output units of a layer that keep a weight, bool (O,); None for a layer that the mask does not cover."""
    if not isinstance(module, ROWS):
        return None
    tensor = mask.tensors.get(names.get(id(module.weight), ""))
    if tensor is None:
        return None
    if isinstance(module, nn.modules.conv._ConvTransposeNd):  # (I, O / groups, ...): the inputs are the rows
        by_group = tensor.reshape(module.groups, -1, tensor.shape[1], math.prod(tensor.shape[2:]))
        return by_group.any(dim=3).any(dim=1).flatten()
    return tensor.flatten(1).any(dim=1)


def apply(model: nn.Module, mask: Mask) -> None:
    """Set the removed weights of a model to zero, in place."""
    parameters = dict(model.named_parameters())
    for name, tensor in (*mask.tensors.items(), *mask.attached.items()):
        zero_removed(parameters[name].detach(), tensor.to(parameters[name].device))


_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def zero_removed(tensor: Tensor, kept: Tensor) -> None:
    """Set to exactly +0 what is not kept, in place; kept: bool of its shape. The rest keeps its bits.

    The bits are multiplied by 0 or 1 as whole numbers. So NaN, infinities and negative numbers become +0, which a
    product of floats does not give, at a ninth of the time of masked_fill_ on a CPU.
    """
    bits = _BITS.get(tensor.element_size())
    if bits is None:
        tensor.masked_fill_(~kept, 0)
    else:
        tensor.view(bits).mul_(kept)


def random_mask(parameters: Mapping[str, Tensor], counts: Mapping[str, int], generator: torch.Generator) -> Mask:
    """A mask that keeps exactly counts[name] weights of each tensor, drawn at random."""
    kept = {}
    for name, parameter in parameters.items():
        keep = torch.zeros(parameter.numel(), dtype=torch.bool)
        keep[torch.randperm(parameter.numel(), generator=generator)[: counts[name]]] = True
        kept[name] = keep.view(parameter.shape)
    return Mask(kept)


def independent_mask(
    parameters: Mapping[str, Tensor], densities: Mapping[str, float], generator: torch.Generator
) -> Mask:
    """A mask that keeps every weight on its own with probability densities[name]: its counts are random.

    So the code of ITOP and REST draws its first masks, and ShrinkBench prunes at random.
    """
    return Mask({name: torch.rand(p.shape, generator=generator) < densities[name] for name, p in parameters.items()})


def drop_and_grow(weight: Tensor, mask: Tensor, growth: Tensor, count: int) -> Tensor:
    """Drop the `count` smallest of the kept weights, then grow the `count` highest `growth` of those not kept.

    weight, mask, growth: of one shape; the new mask (bool) keeps as many as the old one. Only kept weights are ranked
    for dropping and only others for growing, so ties can neither keep nor lose a weight; a weight that was just
    dropped may grow again (RigL, Evci et al. 2020, released code). Of equal values the first is kept or grown. The
    work is done, and the new mask lies, where the weight is.
    """
    size, kept = weight.detach().abs().flatten(), mask.detach().to(weight.device).flatten()
    total = int(kept.count_nonzero())
    if not 0 <= count <= total:
        raise ValueError(f"{total} weights are kept: {count} cannot be dropped")
    stay = ranked(size, kept)(total - count)
    grown = ranked(growth.detach().to(weight.device).flatten(), ~stay)(count)
    return (stay | grown).view(mask.shape)
