"""RigL: drop the smallest weights, grow where the dense gradient is largest (Evci et al., ICML 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch

from benchbias import Mask, Range, drop_and_grow, highest, hookimpl, random_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

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
    rate, masks, gradients = context.cosine(drop), context.current_masks(weights), context.gradients
    nonzeros = Mask(masks).counts()
    return Mask(
        {
            name: drop_and_grow(weight, masks[name], gradients[name].abs(), int(rate * nonzeros[name]))
            for name, weight in weights.items()
        }
    )


def rigl_google(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    drop: Annotated[float, Range(0, 1)] = 0.3,
    noise: Annotated[float, Range(0, 1)] = 1e-5,
    regrow_dropped: bool = True,
) -> Mask:
    """RigL as Google's released optimizer does it: drop and growth rank all positions, after noise on the weights.

    noise: standard deviation of what is added to every |w| before the int((1 - rate) non-zeros) largest are kept:
    where kept weights are zero, others may be kept in their place. regrow_dropped: whether what was just dropped
    may grow; else it does so only where nothing else is left. The rest are keys of the stage: `skip_step`,
    `at_start`, `until` (released schedule: true, true, 0.75).
    """
    weights = context.prunable(model)
    if context.mask is None:
        return random_mask(weights, context.layer_counts, context.generator)
    if context.dense_gradients is None:
        return context.mask
    rate, masks, kept = context.cosine(drop), context.current_masks(weights), {}
    nonzeros = Mask(masks).counts()
    for name, weight in weights.items():
        mask = masks[name]
        sizes = (weight * mask).abs()
        sizes = sizes + noise * torch.randn(weight.shape, generator=context.generator).to(weight.device)
        growth = context.gradients[name].abs()
        if not regrow_dropped:
            growth = growth.masked_fill(mask, -1.0)
        kept[name] = keep_and_grow(sizes, growth, nonzeros[name], rate)
    return Mask(kept)


def keep_and_grow(sizes: Tensor, growth: Tensor, nonzeros: int, rate: float) -> Tensor:
    """Keep the largest sizes of all positions, then grow the highest growth of the others: bool, of their shape.

    int(rate * nonzeros) are grown, and the mask has as many non-zeros as before (sparse_optimizers.py,
    `_get_update_op`).
    """
    grown = int(rate * nonzeros)
    after = highest(sizes, nonzeros - grown)
    return after | highest(growth, grown, ~after)


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Mask]]:
    return {"rigl": rigl, "rigl_google": rigl_google}
