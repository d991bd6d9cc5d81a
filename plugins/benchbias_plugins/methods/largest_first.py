"""Magnitude pruning upside down: remove the weights with the largest |w| first. A measurement, no remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import PruneContext, Scores, TrainingData


def largest_first(model: nn.Module, data: TrainingData, context: PruneContext) -> Scores:
    """Score every prunable weight by minus its absolute value: the largest go first."""
    return {name: -weight.abs() for name, weight in context.prunable(model).items()}


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores]]:
    return {"largest_first": largest_first}
