"""Losses that several methods share."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias.data import Batch


def weighted_cross_entropy(weights: Tensor) -> Callable[[nn.Module, Batch], Tensor]:
    """Cross-entropy weighted by example: sum(w_i l_i) / sum(w_i) over a batch, shape ().

    weights: float (N,), by the index of the example in the training split. The normaliser is the batch's weights,
    so that integer weights give the loss of a batch in which each example stands as often as it weighs.
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        each = cross_entropy(model(batch.images), batch.labels, reduction="none")  # (B,)
        chosen = weights.to(each.device)[batch.index]
        return (each * chosen).sum() / chosen.sum()

    return loss
