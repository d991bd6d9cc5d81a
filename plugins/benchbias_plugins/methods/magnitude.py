"""Magnitude pruning: keep the largest |w| (Han et al., 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import PruneContext, Scores, TrainingData


def magnitude(model: nn.Module, data: TrainingData, context: PruneContext) -> Scores:
    """Score every prunable weight by its absolute value."""
    return {name: weight.abs() for name, weight in context.prunable(model).items()}


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores]]:
    return {"magnitude": magnitude}
