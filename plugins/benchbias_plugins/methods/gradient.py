"""Gradient pruning: keep the largest |w g|, the first-order change of the loss (Good et al., 2022: GP)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from benchbias import Range, hookimpl, loss_gradients

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import PruneContext, Scores, TrainingData


def gradient(
    model: nn.Module, data: TrainingData, context: PruneContext, *, batches: Annotated[int, Range(0, 10_000)] = 1
) -> Scores:
    """Score every prunable weight by |w g|, g the gradient of the mean cross-entropy.

    batches: over how many random training batches (of the recipe's size) g is taken; 0 takes all of training. One
    is what the paper's code does.
    """
    weights = context.prunable(model)
    slopes = loss_gradients(model, data, context.generator, weights, batches)
    return {name: (weight * slopes[name]).abs() for name, weight in weights.items()}


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores]]:
    return {"gradient": gradient}
