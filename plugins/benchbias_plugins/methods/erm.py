"""Empirical risk minimisation: mean cross-entropy by the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import TrainContext, TrainingData


def erm(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
    """Train on the mean cross-entropy of all examples alike."""
    context.fit(model, data)


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"erm": erm}
