"""RigL: drop the smallest weights, grow where the dense gradient is largest (Evci et al., ICML 2020)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import torch

from benchbias import Mask, Range, drop_and_grow, hookimpl, random_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import PruneContext, TrainingData


def rigl(
    model: nn.Module, data: TrainingData, context: PruneContext, *, drop: Annotated[float, Range(0, 1)] = 0.3
) -> Mask:
    """Random masks with exact counts at the start; at each update drop and grow int(rate * non-zeros) a layer.

    drop: alpha, the fraction dropped at first; it falls by a cosine to 0 where the updates end (Algorithm 1).
    Just-dropped weights may be grown again, and then keep their value.
    """
    weights = context.prunable(model)
    if context.mask is None:
        return random_mask(weights, context.layer_counts, context.generator)
    if context.step == 0:
        return context.mask
    rate = drop / 2 * (1 + math.cos(math.pi * context.progress))
    kept = {
        name: drop_and_grow(weight, mask, context.gradients[name].abs(), int(rate * int(mask.sum())))
        for name, weight in weights.items()
        for mask in (context.mask.tensors.get(name, torch.ones_like(weight, dtype=torch.bool)),)
    }
    return Mask(kept)


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Mask]]:
    return {"rigl": rigl}
