"""Undecayed pruning, UP: the gradient criterion with the weight decay's share put back (Good, Lin et al., 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch

from benchbias import Mask, Range, hookimpl, loss_gradients, removed_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from benchbias import PruneContext, Scores, TrainingData

Formula = Literal["poster", "absolute", "squares", "signed_as_published"]


def undecayed(
    model: nn.Module,
    data: TrainingData,
    context: PruneContext,
    *,
    decay: Annotated[float, Range(0, 1)] = 5e-4,
    formula: Formula = "poster",
    batches: Annotated[int, Range(0, 10_000)] = 1,
) -> Scores | Mask:
    """Score every prunable weight by |w g| + decay |w|: the poster's "GP + eps MP".

    decay: eps. formula: `poster`; `absolute`: |-w g + decay w^2| (the OpenLTH port); `squares`: |w g| + decay w^2;
    `signed_as_published`: -w g + decay w^2 under a two-sided threshold, as the paper's code runs it: where
    scores are symmetric it removes only 2 s - 1 of the weights at sparsity s. batches: as for `gradient`.
    """
    weights = context.prunable(model)
    slopes = loss_gradients(model, data, context.generator, weights, batches)
    signed = {name: -w * slopes[name] + decay * w.square() for name, w in weights.items()}
    if formula == "signed_as_published":
        return two_sided(signed, context.density if context.density is not None else 1.0)
    if formula == "absolute":
        return {name: score.abs() for name, score in signed.items()}
    size = torch.square if formula == "squares" else torch.abs
    return {name: (w * slopes[name]).abs() + decay * size(w) for name, w in weights.items()}


def two_sided(scores: dict[str, Tensor], density: float) -> Mask:
    """Remove -tau < score < tau, tau the (1 - density) quantile of the signed scores: the released code's mask."""
    flat = torch.cat([score.flatten() for score in scores.values()]).sort().values
    removed = removed_count(len(flat), density=density)
    tau = flat[min(removed, len(flat) - 1)]
    return Mask({name: (score <= -tau) | (score >= tau) for name, score in scores.items()})


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores | Mask]]:
    return {"undecayed": undecayed}
