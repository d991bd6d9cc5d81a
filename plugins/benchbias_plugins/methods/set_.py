"""SET: drop the smallest weights, grow at random (Mocanu et al., 2018): RigL without the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch

from benchbias import Mask, Range, drop_and_grow, hookimpl, random_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import PruneContext, TrainingData


def set_(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    drop: Annotated[float, Range(0, 1)] = 0.3,
    anneal: bool = True,
) -> Mask:
    """Random masks with exact counts; each update drops int(rate * non-zeros) a layer and grows as many at random.

    drop: the fraction dropped. anneal: whether it falls by a cosine to 0 where the updates end, as RigL's does
    (RigL's comparison); SET itself keeps it constant.
    """
    weights = context.prunable(model)
    if context.mask is None:
        return random_mask(weights, context.layer_counts, context.generator)
    if context.step == 0:
        return context.mask
    rate = context.cosine(drop) if anneal else drop
    masks, kept = context.current_masks(weights), {}
    nonzeros = Mask(masks).counts()
    for name, weight in weights.items():
        mask = masks[name]
        chance = torch.rand(weight.shape, generator=context.generator).to(weight.device)
        kept[name] = drop_and_grow(weight, mask, chance, int(rate * nonzeros[name]))
    return Mask(kept)


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Mask]]:
    return {"set": set_}
