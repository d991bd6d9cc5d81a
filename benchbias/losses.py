"""Losses that several methods share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

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


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent of two views of a batch, shape (): normalised, temperature-scaled cross-entropy (Chen et al., 2020).

    first, second: float (B, D); row i of both comes from example i. Every one of the 2 B rows is an anchor: its
    positive is the other view of its example, its negatives are the 2 B - 2 rows of the other examples; similarity is
    the cosine over the temperature. The mean over anchors: log(2 B - 1) where all rows are equal, 0 for B = 1.
    Raises ValueError for other shapes, or a temperature that is not positive.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"two views of one batch are both (B, D), not {tuple(first.shape)} and {tuple(second.shape)}")
    if not temperature > 0:
        raise ValueError(f"a temperature is positive, not {temperature}")
    rows = normalize(torch.cat([first, second]))  # (2 B, D)
    own = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    similarity = (rows @ rows.T / temperature).masked_fill(own, -torch.inf)  # (2 B, 2 B): no row is its own negative
    positive = torch.arange(len(rows), device=rows.device).roll(len(first))
    return cross_entropy(similarity, positive)
