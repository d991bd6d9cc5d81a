"""Normalised recall balances before and after, the products that slopes are made of, and the slopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from .ratio import TINY, Ratio

if TYPE_CHECKING:
    from .cells import Cells
    from .weighing import Weights

Average = Literal["pooled", "models"]


@dataclass(frozen=True)
class RightCounts:
    """Right answers of M models, before and after, in the same cells: float64 (M, J)."""

    cells: Cells
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class Counts:
    """Right answers before and after, and all: (M, S, H, U) each, of S splits into H = 2 halves, or S = H = 1."""

    before: Tensor
    after: Tensor
    total: Tensor


def counts(answers: RightCounts, weights: Weights, halves: Tensor | None = None) -> Counts:
    """Weighted counts. halves: (S, clusters) of 0 and 1, or None for everything as one."""
    cells = answers.cells
    weight = weights.image[:, cells.cluster]  # (M, J)
    values = torch.cat([weight * part for part in (answers.before, answers.after, cells.total)])  # (3 M, J)
    first = None if halves is None else (1 - halves[:, cells.cluster]).double().T  # (J, S)
    sizes = torch.bincount(cells.unit, minlength=len(cells.names)).tolist()
    by_unit = torch.split(values, sizes, dim=1)
    counted = torch.stack([part.sum(dim=1) for part in by_unit], dim=-1)[:, None, None]  # (3 M, 1, 1, U)
    if first is not None:
        of_unit = [
            part @ chosen for part, chosen in zip(by_unit, torch.split(first, sizes), strict=True)
        ]  # (3 M, S) each
        one = torch.stack(of_unit, dim=-1).unsqueeze(2)  # (3 M, S, 1, U)
        counted = torch.cat([one, counted - one], dim=2)
    return Counts(*counted.chunk(3))


def accuracies(answers: RightCounts, weights: Weights) -> tuple[Tensor, Tensor]:
    """Accuracies before and after, (M,) each, over all examples."""
    found = counts(answers, weights)
    before, after, total = (part.sum(dim=(1, 2, 3)) for part in (found.before, found.after, found.total))
    return before / total, after / total


@dataclass(frozen=True)
class Balances:
    """(R - A) / A before and after, (M, S, H, U) each; there: whether a unit has examples in every half, (S, 1, U).

    0 for a unit that is not there, NaN where a model answers nothing correctly.
    """

    before: Tensor
    after: Tensor
    there: Tensor


def balances(answers: RightCounts, weights: Weights, halves: Tensor | None = None) -> Balances:
    """halves: as of `counts`."""
    found = counts(answers, weights, halves)
    there = (found.total > 0).all(dim=0).all(dim=1, keepdim=True)
    x = _balance(found.before, found.total, there)
    return Balances(x, _balance(found.after, found.total, there), there)


def _balance(right: Tensor, total: Tensor, there: Tensor) -> Tensor:
    accuracy = right.sum(dim=-1, keepdim=True) / total.sum(dim=-1, keepdim=True)
    recall = right / torch.where(there, total, torch.ones_like(total))
    return torch.where(there, recall / accuracy - 1, torch.zeros_like(total))


@dataclass(frozen=True)
class Products:
    """Sums over units, averaged over splits and over swapping the halves: (M,) each.

    cross: of x on one half and y on the other. reliable: of x on one half and x on the other. square: of x and x on
    one half. other_cross, other_reliable: the same with the mean x of the other models as the first factor.
    """

    cross: Tensor
    reliable: Tensor
    square: Tensor
    other_cross: Tensor
    other_reliable: Tensor


def products(
    answers: RightCounts, weights: Weights, halves: Tensor | None, unit_weights: Tensor, *, fit_intercept: bool
) -> Products:
    """halves: (S, clusters), or None for x and y on the same examples. unit_weights: (U,).

    A unit without examples in one of the halves is left out of that split.
    """
    found = balances(answers, weights, halves)
    share = unit_weights * found.there  # (S, 1, U)
    share = share / share.sum(dim=-1, keepdim=True)
    x, y = found.before, found.after  # (M, S, H, U)
    if fit_intercept:
        x, y = (value - (value * share).sum(dim=-1, keepdim=True) for value in (x, y))
    z = _mean_of_others(x, weights.model)

    def summed(one: Tensor, other: Tensor) -> Tensor:
        return (one * other * share).sum(dim=-1).mean(dim=(1, 2))  # (M,)

    x_there, y_there = x.flip(2), y.flip(2)  # on the other half; the same where there is one
    return Products(summed(x, y_there), summed(x, x_there), summed(x, x), summed(z, y_there), summed(z, x_there))


def _mean_of_others(x: Tensor, model: Tensor) -> Tensor:
    """The weighted mean of x (M, S, H, U) over all models but the one itself; NaN for a single model."""
    weight = model.view(-1, 1, 1, 1)
    return ((weight * x).sum(dim=0) - weight * x) / (model.sum() - weight)


def slope(cross: Tensor, square: Tensor, weights: Weights, average: Average = "pooled") -> Ratio | None:
    """alpha of products (M,): of their means over models, or the mean over models of their ratios.

    None where it is undefined: some number is, or, of single models, some model has no balance to begin with.
    """
    if average == "models":
        one = torch.ones_like(cross)
        cross, square = (cross / square, one) if bool((square > TINY).all()) else (one * torch.nan, one)
    numerator = weights.influence(weights.mean(cross))
    denominator = weights.influence(weights.mean(square))
    return None if numerator is None or denominator is None else Ratio(numerator, denominator)


def uniform(before: Tensor, after: Tensor, weights: Weights, average: Average) -> Tensor:
    """The slope k A / A_t that comes of all class errors growing by one factor k = (1 - A_t) / (1 - A).

    before, after: accuracies (M,). Pooled it is of their means over models.
    """
    if average == "models":
        return weights.mean((1 - after) / (1 - before) * before / after)
    before, after = weights.mean(before), weights.mean(after)
    return (1 - after) / (1 - before) * before / after
