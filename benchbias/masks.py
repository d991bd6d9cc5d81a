"""Masks: which weights are kept. Scores -> Mask with exact counts; random masks; drop and grow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from benchbias.modes import look

Scores: TypeAlias = Mapping[str, Tensor]
"""parameter name -> float tensor of the parameter's shape, or (O,) for whole output units, the first axis of the
weight: higher is kept longer."""

Budget = Literal["global", "uniform", "erk"]


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
        """Kept weights a tensor."""
        return {name: int(tensor.sum()) for name, tensor in self.tensors.items()}

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
    shared = {name: tensor & other[name] for name, tensor in one.items() if name in other}
    return {**one, **other, **shared}


def removed_count(total: int, *, sparsity: float | None = None, density: float | None = None) -> int:
    """How many of `total` weights go: floor(sparsity * total), in decimal arithmetic, so that 0.9 means 0.9."""
    fraction = Decimal(str(sparsity)) if sparsity is not None else 1 - Decimal(str(density))
    return math.floor(fraction * total)


def erk_densities(shapes: Mapping[str, tuple[int, ...]], density: float) -> dict[str, float]:
    """Erdos-Renyi-Kernel densities (RigL, Evci et al. 2020, section 3): proportional to sum(shape) / prod(shape).

    Layers whose density would exceed 1 are made dense and the rest is rebalanced, until none exceeds it.
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    raw = {name: sum(shape) / sizes[name] for name, shape in shapes.items()}
    dense: set[str] = set()
    while True:
        free = [name for name in shapes if name not in dense]
        if not free:
            return dict.fromkeys(shapes, 1.0)
        kept = density * sum(sizes.values()) - sum(sizes[name] for name in dense)
        scale = kept / sum(raw[name] * sizes[name] for name in free)
        highest = max(raw[name] for name in free)
        if highest * scale <= 1:
            return {name: 1.0 if name in dense else max(raw[name] * scale, 0.0) for name in shapes}
        dense |= {name for name in free if raw[name] == highest}


def check_scores(scores: Scores, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Refuse unknown names, other shapes and values that are not finite, naming the layer. Raises ValueError."""
    checked = {}
    for name, score in scores.items():
        if name not in parameters:
            raise ValueError(f"scores for {name!r}, which is not a layer to prune ({', '.join(parameters)})")
        if not isinstance(score, Tensor) or not score.is_floating_point():
            raise ValueError(f"the scores of {name!r} must be a float tensor")
        shape = parameters[name].shape
        if score.shape != shape and score.shape != shape[:1]:
            raise ValueError(
                f"the scores of {name!r} have shape {tuple(score.shape)}, not {tuple(shape)} or {tuple(shape[:1])}"
            )
        if not bool(torch.isfinite(score).all()):
            raise ValueError(f"the scores of {name!r} are not all finite")
        checked[name] = score.detach().to("cpu", torch.float64)
    missing = [name for name in parameters if name not in checked]
    if missing:
        raise ValueError(f"no scores for {', '.join(missing)}")
    return checked


def cut(
    scores: Scores,
    parameters: Mapping[str, Tensor],
    *,
    sparsity: float | None = None,
    density: float | None = None,
    budget: Budget = "global",
    force: Mask | None = None,
) -> Mask:
    """Keep the highest scores, exactly: floor(sparsity * N) of the N weights of `parameters` are removed.

    Of equal scores the first in the order of the parameters is kept. Weights that the mask in force has removed
    go first and never come back. Scores (O,) remove whole output units, lowest first, while the removed weights
    stay within the target.
    """
    checked = check_scores(scores, parameters)
    if (sparsity is None) == (density is None):
        raise ValueError("cut to a sparsity or to a density: one of them")
    if any(checked[name].shape != parameters[name].shape for name in parameters):
        return _cut_units(checked, parameters, sparsity=sparsity, density=density, budget=budget, force=force)
    ranked = {name: _below_pruned(checked[name], force, name).flatten() for name in parameters}
    if budget == "global":
        groups = [list(parameters)]
        removed = [removed_count(sum(s.numel() for s in ranked.values()), sparsity=sparsity, density=density)]
    else:
        groups = [[name] for name in parameters]
        kept_counts = budget_counts(parameters, _given(sparsity, density), budget)
        removed = [parameters[name].numel() - kept_counts[name] for name in parameters]
    kept: dict[str, Tensor] = {}
    for names, count in zip(groups, removed, strict=True):
        flat = torch.cat([ranked[name] for name in names])
        order = torch.sort(flat, descending=True, stable=True).indices
        keep = torch.ones(flat.numel(), dtype=torch.bool)
        keep[order[flat.numel() - count :]] = False
        parts = torch.split(keep, [parameters[name].numel() for name in names])
        kept |= {name: part.view(parameters[name].shape) for name, part in zip(names, parts, strict=True)}
    mask = Mask({name: kept[name] for name in parameters})
    return mask.intersect(force) if force is not None else mask


def _below_pruned(score: Tensor, force: Mask | None, name: str) -> Tensor:
    if force is None or name not in force.tensors:
        return score
    return score.masked_fill(~force.tensors[name], -math.inf)


def _given(sparsity: float | None, density: float | None) -> dict[str, float]:
    return {"sparsity": sparsity} if sparsity is not None else {"density": 1.0 if density is None else density}


def budget_counts(
    parameters: Mapping[str, Tensor], amount: Mapping[str, float], budget: Literal["uniform", "erk"]
) -> dict[str, int]:
    """Kept weights a tensor under a uniform or ERK budget; amount: {"sparsity": s} or {"density": d}."""
    if budget == "uniform":
        return {name: p.numel() - removed_count(p.numel(), **amount) for name, p in parameters.items()}
    density = float(1 - Decimal(str(amount["sparsity"]))) if "sparsity" in amount else amount["density"]
    layers = erk_densities({name: tuple(p.shape) for name, p in parameters.items()}, density)
    # 1e-9: a layer that ERK gives a whole number of weights must not lose one to rounding
    return {name: p.numel() - math.floor((1 - layers[name]) * p.numel() + 1e-9) for name, p in parameters.items()}


def _cut_units(
    scores: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    *,
    sparsity: float | None,
    density: float | None,
    budget: Budget,
    force: Mask | None,
) -> Mask:
    wrong = [name for name in parameters if scores[name].shape != parameters[name].shape[:1]]
    if wrong:
        raise ValueError(f"scores for whole units and for single weights cannot be mixed: {', '.join(wrong)}")
    if budget == "erk":
        raise ValueError('whole units take budget = "global" or "uniform", not "erk"')
    groups = [list(parameters)] if budget == "global" else [[name] for name in parameters]
    kept = {name: torch.ones_like(p, dtype=torch.bool, device="cpu") for name, p in parameters.items()}
    for names in groups:
        target = removed_count(sum(parameters[n].numel() for n in names), sparsity=sparsity, density=density)
        units = [
            (_unit_score(float(value), force, name, unit), name, unit)
            for name in names
            for unit, value in enumerate(scores[name])
        ]
        for at in sorted(range(len(units)), key=lambda at: (units[at][0], -at)):  # of equal units the last go first
            _, name, unit = units[at]
            target -= parameters[name][0].numel()
            if target < 0:
                break
            kept[name][unit] = False
    mask = Mask(kept, units=True)
    return mask.intersect(force) if force is not None else mask


def _unit_score(score: float, force: Mask | None, name: str, unit: int) -> float:
    """A unit of which the mask in force has removed every weight goes before all others."""
    removed = force is not None and name in force.tensors and not bool(force.tensors[name][unit].any())
    return -math.inf if removed else score


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
    named = {module: name for name, module in model.named_modules()}
    attached: dict[str, Tensor] = {}
    made: dict[int, str] = {}
    outputs: list[Tensor] = []  # keeps the outputs alive, so that no id is used twice

    def watch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        weight = f"{named[module]}.weight"
        source = next((made[id(given)] for given in (*args, *kwargs.values()) if id(given) in made), None)
        if weight in mask.tensors or (source is not None and isinstance(module, _KEEPS_ZERO)):
            made[id(output)] = weight if weight in mask.tensors else str(source)
            outputs.append(output)
        if weight in mask.tensors:
            if getattr(module, "bias", None) is not None:
                attached[f"{named[module]}.bias"] = _unit_mask(mask, weight)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine and source is not None:
            attached[weight] = attached[f"{named[module]}.bias"] = _unit_mask(mask, source)

    look(model, images, [module for module in named if not list(module.children())], watch)
    return Mask(mask.tensors, units=True, attached=attached)


def _unit_mask(mask: Mask, name: str) -> Tensor:
    return mask.tensors[name].flatten(1).any(dim=1)


def apply(model: nn.Module, mask: Mask) -> None:
    """Set the removed weights of a model to zero, in place."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in (*mask.tensors.items(), *mask.attached.items()):
            parameters[name].masked_fill_(~tensor.to(parameters[name].device), 0)


def random_mask(parameters: Mapping[str, Tensor], counts: Mapping[str, int], generator: torch.Generator) -> Mask:
    """A mask that keeps exactly counts[name] weights of each tensor, drawn at random."""
    kept = {}
    for name, parameter in parameters.items():
        keep = torch.zeros(parameter.numel(), dtype=torch.bool)
        keep[torch.randperm(parameter.numel(), generator=generator)[: counts[name]]] = True
        kept[name] = keep.view(parameter.shape)
    return Mask(kept)


def drop_and_grow(weight: Tensor, mask: Tensor, growth: Tensor, count: int) -> Tensor:
    """Drop the `count` smallest of the kept weights, then grow the `count` highest `growth` of those not kept.

    weight, mask, growth: of one shape; the new mask (bool) keeps as many as the old one. Only kept weights are ranked
    for dropping and only others for growing, so ties can neither keep nor lose a weight; a weight that was just
    dropped may grow again (RigL, Evci et al. 2020, released code). Of equal values the first is kept or grown.
    """
    if not 0 <= count <= int(mask.sum()):
        raise ValueError(f"{int(mask.sum())} weights are kept: {count} cannot be dropped")
    kept, size = mask.detach().cpu().flatten(), weight.detach().cpu().abs().flatten()
    after = kept.clone()
    order = torch.sort(size.masked_fill(~kept, -1.0), descending=True, stable=True).indices
    after[order[int(kept.sum()) - count :]] = False
    chances = growth.detach().cpu().flatten().masked_fill(after, -math.inf)
    after[torch.sort(chances, descending=True, stable=True).indices[:count]] = True
    return after.view(mask.shape)
