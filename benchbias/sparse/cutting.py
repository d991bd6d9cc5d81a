"""Scores -> masks: exact counts, stable ties, global, uniform or ERK budgets, whole units, all levels of a sweep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from benchbias.sparse.copies import shapes as shapes_of
from benchbias.sparse.masks import Mask
from benchbias.sparse.ranking import ranked

Scores: TypeAlias = Mapping[str, Tensor]
"""parameter name -> float tensor of the parameter's shape, or (O,) for whole output units, the first axis of the
weight: higher is kept longer."""

Budget = Literal["global", "uniform", "erk"]

Amount: TypeAlias = Mapping[str, float]
"""{"sparsity": the removed fraction} or {"density": the kept one}."""

Cut: TypeAlias = Callable[[Amount], Mask]
"""An amount -> the mask that leaves it, of scores that are ranked already."""


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
    stay within the target. Of parameters only names and shapes count. The mask lies where the scores do. Raises
    ValueError.
    """
    given = {"sparsity": sparsity, "density": density}
    amount = {name: fraction for name, fraction in given.items() if fraction is not None}
    return cut_levels(scores, parameters, [amount], budget=budget, force=force)[0]


def cut_levels(
    scores: Scores,
    parameters: Mapping[str, Tensor],
    amounts: Iterable[Amount],
    *,
    budget: Budget = "global",
    force: Mask | None = None,
) -> tuple[Mask, ...]:
    """The masks that `cut` makes of the same scores for each amount: all levels of a sweep, ranked once."""
    level = ranked_cut(scores, parameters, budget=budget, force=force)
    return tuple(level(amount) for amount in amounts)


def ranked_cut(
    scores: Scores, parameters: Mapping[str, Tensor], *, budget: Budget = "global", force: Mask | None = None
) -> Cut:
    """Rank scores once; the function that is returned makes the mask of any amount. Raises ValueError, see `cut`."""
    shapes = shapes_of(parameters)
    checked = _together(check_scores(scores, shapes))
    units = any(checked[name].shape != shape.shape for name, shape in shapes.items())
    if units:
        _refuse_mixed(checked, shapes, budget)
    rank = _ranked_units if units else _ranked_weights
    groups = [list(shapes)] if budget == "global" else [[name] for name in shapes]
    parts = [rank(checked, {name: shapes[name] for name in names}, force) for names in groups if names]

    def level(amount: Amount) -> Mask:
        if set(amount) not in ({"sparsity"}, {"density"}):
            raise ValueError("cut to a sparsity or to a density: one of them")
        if units or budget == "global":
            removed = [removed_count(part.total, **amount) for part in parts]
        else:
            counts = budget_counts(shapes, amount, budget)
            removed = [part.total - counts[name] for part, name in zip(parts, shapes, strict=True)]
        kept = {name: mask for part, gone in zip(parts, removed, strict=True) for name, mask in part.cut(gone).items()}
        mask = Mask({name: kept[name] for name in shapes}, units=units)
        return mask.intersect(force) if force is not None else mask

    return level


def check_scores(scores: Scores, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Refuse unknown names, other shapes and values that are not finite, naming the layer. Raises ValueError.

    The scores are returned where they are, as float32 or float64: narrower floats keep their order as float32.
    """
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
        checked[name] = score.detach() if score.dtype == torch.float64 else score.detach().float()
    _refuse_infinite(checked)
    missing = [name for name in parameters if name not in checked]
    if missing:
        raise ValueError(f"no scores for {', '.join(missing)}")
    return checked


def _refuse_infinite(scores: Mapping[str, Tensor]) -> None:
    """Raises ValueError for scores that are not all finite; the CPU waits once for the answers about all."""
    filled = {name: score for name, score in scores.items() if score.numel()}
    # NaN and infinities are the lowest or the highest: a tenth of the time of isfinite
    first = next(iter(filled.values()), torch.empty(0))
    ends = [torch.stack(torch.aminmax(score)).to(first.device, torch.float64) for score in filled.values()]
    finite = torch.isfinite(torch.stack(ends)).all(1).tolist() if ends else []
    for name, fine in zip(filled, finite, strict=True):
        if not fine:
            raise ValueError(f"the scores of {name!r} are not all finite")


def _together(scores: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Scores on one device: where all of them are, else on the CPU."""
    if len({score.device for score in scores.values()}) == 1:
        return scores
    return {name: score.cpu() for name, score in scores.items()}


def budget_counts(
    parameters: Mapping[str, Tensor], amount: Amount, budget: Literal["uniform", "erk"]
) -> dict[str, int]:
    """Kept weights a tensor under a uniform or ERK budget; amount: {"sparsity": s} or {"density": d}."""
    if budget == "uniform":
        return {name: p.numel() - removed_count(p.numel(), **amount) for name, p in parameters.items()}
    layers = budget_densities(parameters, amount, budget)
    # 1e-9: a layer that ERK gives a whole number of weights must not lose one to rounding
    return {name: p.numel() - math.floor((1 - layers[name]) * p.numel() + 1e-9) for name, p in parameters.items()}


def budget_densities(
    parameters: Mapping[str, Tensor], amount: Amount, budget: Literal["uniform", "erk"]
) -> dict[str, float]:
    """The density of each tensor under a uniform or ERK budget, before it is rounded to whole weights."""
    density = float(1 - Decimal(str(amount["sparsity"]))) if "sparsity" in amount else amount["density"]
    if budget == "uniform":
        return dict.fromkeys(parameters, density)
    return erk_densities({name: tuple(p.shape) for name, p in parameters.items()}, density)


@dataclass(frozen=True)
class _Group:
    """Weights that share one target. cut: how many of the `total` weights go -> what is kept, by parameter name."""

    total: int
    cut: Callable[[int], dict[str, Tensor]]


def _ranked_weights(scores: Mapping[str, Tensor], shapes: Mapping[str, Tensor], force: Mask | None) -> _Group:
    """Rank single weights, but for those that the mask in force has removed: they go first."""
    values = torch.cat([scores[name].flatten() for name in shapes])
    free, left = None, len(values)
    if force is not None and any(name in force.tensors for name in shapes):
        free = torch.cat([_in_force(force, name, shape, values.device).flatten() for name, shape in shapes.items()])
        left = int(free.count_nonzero())
    highest, sizes = ranked(values, free), [shape.numel() for shape in shapes.values()]

    def kept(removed: int) -> dict[str, Tensor]:
        parts = torch.split(highest(min(len(values) - removed, left)), sizes)
        return {name: part.view(shape.shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    return _Group(len(values), kept)


def _ranked_units(scores: Mapping[str, Tensor], shapes: Mapping[str, Tensor], force: Mask | None) -> _Group:
    """Rank whole units: those go first of which the mask in force has removed every weight; of equal units the last."""
    marks = []
    for name, shape in shapes.items():
        held = _in_force(force, name, shape, scores[name].device)
        marks.append(scores[name].masked_fill(~(held.flatten(1).any(1) if held.ndim > 1 else held), -math.inf))
    values = torch.cat(marks)
    weights = [shape.numel() // max(len(shape), 1) for shape in shapes.values()]  # of a unit
    sizes = torch.tensor(weights).repeat_interleave(torch.tensor([len(shape) for shape in shapes.values()]))
    order = torch.sort(values, descending=True, stable=True).indices.flip(0)
    spent = sizes.to(values.device)[order].cumsum(0)  # weights removed with each unit, in the order in which they go
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)

    def kept(removed: int) -> dict[str, Tensor]:
        rows = torch.split(place >= (spent <= removed).sum(), [len(shape) for shape in shapes.values()])
        return {
            name: row.view(-1, *[1] * (shape.ndim - 1)).expand(shape.shape).contiguous()
            for (name, shape), row in zip(shapes.items(), rows, strict=True)
        }

    return _Group(sum(shape.numel() for shape in shapes.values()), kept)


def _in_force(force: Mask | None, name: str, shape: Tensor, device: torch.device) -> Tensor:
    """The mask in force of a parameter, bool of its shape: all of it where none covers it."""
    if force is None or name not in force.tensors:
        return torch.ones(shape.shape, dtype=torch.bool, device=device)
    return force.tensors[name].to(device)


def _refuse_mixed(scores: Mapping[str, Tensor], shapes: Mapping[str, Tensor], budget: Budget) -> None:
    """Raises ValueError where only some scores are of units, and for a budget that units do not have."""
    wrong = [name for name, shape in shapes.items() if scores[name].shape != shape.shape[:1]]
    if wrong:
        raise ValueError(f"scores for whole units and for single weights cannot be mixed: {', '.join(wrong)}")
    if budget == "erk":
        raise ValueError('whole units take budget = "global" or "uniform", not "erk"')
