"""Random pruning: the control that says whether a criterion carries any information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from benchbias import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import PruneContext, Scores, TrainingData


def random(model: nn.Module, data: TrainingData, context: PruneContext) -> Scores:
    """Score every prunable weight by a uniform random number; levels of a sweep are nested (one draw a seed)."""
    return {
        name: torch.rand(weight.shape, generator=context.generator, dtype=torch.float64)
        for name, weight in context.prunable(model).items()
    }


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores]]:
    return {"random": random}
