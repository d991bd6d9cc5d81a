"""Static sparse training: a random mask before the first step that never changes. The control of RigL and SET."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import Mask, hookimpl, random_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import PruneContext, TrainingData


def static(model: nn.Module, data: TrainingData, context: PruneContext) -> Mask:
    """A random mask with exact counts a layer, kept as it is."""
    return context.mask or random_mask(context.prunable(model), context.layer_counts, context.generator)


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Mask]]:
    return {"static": static}
