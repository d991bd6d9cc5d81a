"""Scores -> Mask: exact counts, stable ties, global, uniform or ERK budgets, whole units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from benchbias.sparse.masks import Mask

Scores: TypeAlias = Mapping[str, Tensor]
"""parameter name -> float tensor of the parameter's shape, or (O,) for whole output units, the first axis of the
weight: higher is kept longer."""

Budget = Literal["global", "uniform", "erk"]


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
    layers = budget_densities(parameters, amount, budget)
    # 1e-9: a layer that ERK gives a whole number of weights must not lose one to rounding
    return {name: p.numel() - math.floor((1 - layers[name]) * p.numel() + 1e-9) for name, p in parameters.items()}


def budget_densities(
    parameters: Mapping[str, Tensor], amount: Mapping[str, float], budget: Literal["uniform", "erk"]
) -> dict[str, float]:
    """The density of each tensor under a uniform or ERK budget, before it is rounded to whole weights."""
    density = float(1 - Decimal(str(amount["sparsity"]))) if "sparsity" in amount else amount["density"]
    if budget == "uniform":
        return dict.fromkeys(parameters, density)
    return erk_densities({name: tuple(p.shape) for name, p in parameters.items()}, density)


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
