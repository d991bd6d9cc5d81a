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
class Answers:
    """What M models and their twins answer on the same cells: correct before and after, float64 (M, J).

    others: float64 (M, M), 1 where the second model was trained apart from the first one and from its twin.
    """

    cells: Cells
    before: Tensor
    after: Tensor
    others: Tensor


@dataclass(frozen=True)
class Balances:
    """(R - A) / A before and after, (M, H, U) each, of H halves; there: whether a unit has examples in all, (U,).

    0 for a unit without examples, NaN where a model answers nothing correctly.
    """

    before: Tensor
    after: Tensor
    there: Tensor


def counts(answers: Answers, weights: Weights, half: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Correct before, correct after and all, by half and unit: (M, H, U) each. half: (J,) of 0 and 1, or None."""
    units, halves = len(answers.cells.names), 1 if half is None else 2
    index = answers.cells.unit if half is None else half * units + answers.cells.unit
    weight = weights.image[:, answers.cells.cluster]  # (M, J)

    def counted(values: Tensor) -> Tensor:
        empty = torch.zeros(len(weight), halves * units, dtype=torch.float64)
        return empty.index_add(1, index, weight * values).view(-1, halves, units)

    return counted(answers.before), counted(answers.after), counted(answers.cells.total)


def accuracies(answers: Answers, weights: Weights) -> tuple[Tensor, Tensor]:
    """Before and after, (M,) each, over all examples."""
    before, after, total = (value.sum(dim=(1, 2)) for value in counts(answers, weights))
    return before / total, after / total


def balances(answers: Answers, weights: Weights, half: Tensor | None = None) -> Balances:
    """Of two halves, or of everything as one."""
    before, after, total = counts(answers, weights, half)
    there = (total > 0).all(dim=0).all(dim=0)
    safe = torch.where(there, total, torch.ones_like(total))

    def balance(correct: Tensor) -> Tensor:
        accuracy = correct.sum(dim=-1, keepdim=True) / total.sum(dim=-1, keepdim=True)
        return torch.where(there, correct / safe / accuracy - 1, torch.zeros_like(total))

    return Balances(balance(before), balance(after), there)


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
    answers: Answers, weights: Weights, halves: Tensor | None, unit_weights: Tensor, *, fit_intercept: bool
) -> Products:
    """halves: (splits, clusters), or None for x and y on the same examples. unit_weights: (U,).

    A unit without examples in one of the halves is left out of that split.
    """
    splits = [None] if halves is None else list(halves[:, answers.cells.cluster])  # (J,) each
    found = [_of_split(answers, weights, half, unit_weights, fit_intercept) for half in splits]
    return Products(*(torch.stack(parts).mean(dim=0) for parts in zip(*found, strict=True)))


def _of_split(
    answers: Answers, weights: Weights, half: Tensor | None, unit_weights: Tensor, fit_intercept: bool
) -> tuple[Tensor, ...]:
    found = balances(answers, weights, half)
    share = unit_weights * found.there
    share = share / share.sum()
    x, y = found.before, found.after  # (M, H, U)
    if fit_intercept:
        x, y = (value - (value * share).sum(dim=-1, keepdim=True) for value in (x, y))
    seen = answers.others * weights.model  # (M, M)
    z = torch.einsum("ij,jhu->ihu", seen / seen.sum(dim=1, keepdim=True), x)

    def summed(one: Tensor, other: Tensor) -> Tensor:
        return (one * other * share).sum(dim=-1).mean(dim=-1)  # (M,)

    x_there, y_there = x.flip(1), y.flip(1)  # on the other half; of one half the same
    return summed(x, y_there), summed(x, x_there), summed(x, x), summed(z, y_there), summed(z, x_there)


def slope(cross: Tensor, square: Tensor, weights: Weights, average: Average) -> Ratio | None:
    """alpha of products (M,): of their means over models, or the mean over models of their ratios.

    None where it is undefined: some number is, or, of single models, some model has no balance to begin with.
    """
    one = torch.ones_like(cross)
    if average == "models":
        cross, square = (cross / square, one) if bool((square > TINY).all()) else (one * torch.nan, one)
    numerator, denominator = (weights.influence(weights.mean(part)) for part in (cross, square))
    return None if numerator is None or denominator is None else Ratio(numerator, denominator)


def uniform(answers: Answers, weights: Weights, average: Average) -> Tensor:
    """The slope k A / A_t that comes of all class errors growing by one factor k = (1 - A_t) / (1 - A)."""
    before, after = accuracies(answers, weights)
    if average == "pooled":
        before, after = weights.mean(before), weights.mean(after)
    odds = (1 - after) / (1 - before) * before / after
    return odds if average == "pooled" else weights.mean(odds)
