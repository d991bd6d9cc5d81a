"""Losses that several methods share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from benchbias.data.values import Batch
from benchbias.training.stepping import capturable


def weighted_cross_entropy(weights: Tensor) -> Callable[[nn.Module, Batch], Tensor]:
    """Cross-entropy weighted by example: sum(w_i l_i) / sum(w_i) over a batch, shape ().

    weights: float (N,), by the index of the example in the training split. The normaliser is the batch's weights,
    so that integer weights give the loss of a batch in which each example stands as often as it weighs.
    """

    placed = weights

    @capturable
    def loss(model: nn.Module, batch: Batch) -> Tensor:
        nonlocal placed
        each = cross_entropy(model(batch.images), batch.labels, reduction="none")  # (B,)
        placed = placed.to(each.device)  # once: the first step is never captured
        chosen = placed[batch.index]
        return (each * chosen).sum() / chosen.sum()

    loss._example_weights = (loss, weights)  # type: ignore[attr-defined]  # itself: a wrapper may copy attributes
    return loss


def example_weights(loss: Callable[[nn.Module, Batch], Tensor]) -> Tensor | None:
    """The weights of examples, float (N,), of a loss that `weighted_cross_entropy` made; None for any other loss."""
    owner, weights = getattr(loss, "_example_weights", (None, None))
    return weights if owner is loss else None


def generalised_cross_entropy(
    logits: Tensor, labels: Tensor, q: float = 0.7, *, gradient: Literal["textbook", "as_published"] = "textbook"
) -> Tensor:
    """Generalised cross-entropy (1 - p^q) / q of each example, float (B,) (Zhang and Sabuncu, NeurIPS 2018).

    logits: (B, K); p: the softmax of the label. Its gradient is p^q times that of the cross-entropy: it follows what is
    easy. q: above 0 (where cross-entropy is the limit), up to 1 (1 - p). gradient: `as_published` is the cross-entropy
    times the constant q p^q, as LfF and DisEnt have it: q times the textbook's gradient, and nothing at all at q = 0.
    Raises ValueError.
    """
    if not 0 < q <= 1:
        raise ValueError(f"q of the generalised cross-entropy is above 0 and at most 1, not {q}")
    each = cross_entropy(logits, labels, reduction="none")  # (B,), -log p
    if gradient == "as_published":
        return each * (q * torch.exp(-q * each.detach()))
    return -torch.expm1(-q * each) / q


class LossAverages:
    """The exponential moving average of each training example's loss, by its index (LfF, Nam et al., NeurIPS 2020).

    labels: int64 (N,), of the training split. keep: what an update leaves of the old average, from 0 to below 1.
    values: float32 (N,), 0 for an example without a loss yet.
    """

    def __init__(self, labels: Tensor, keep: float = 0.7) -> None:
        self.labels, self.keep = labels, keep
        self.num_classes = int(labels.max()) + 1
        self.values = torch.zeros(len(labels), device=labels.device)
        self.seen = torch.zeros_like(labels, dtype=torch.bool)

    def update(self, index: Tensor, losses: Tensor) -> None:
        """Note the losses (B,) of the examples `index` (B,): the first of each is stored as it is."""
        new, old = losses.detach().float(), self.values[index]
        self.values[index] = torch.where(self.seen[index], self.keep * old + (1 - self.keep) * new, new)
        self.seen[index] = True

    def relative(self, index: Tensor) -> Tensor:
        """The averages of `index` (B,) over the largest of their class in all of training: float32 (B,), 0 to 1."""
        largest = self.values.new_zeros(self.num_classes).scatter_reduce(0, self.labels, self.values, "amax")
        smallest = torch.finfo(torch.float32).tiny  # a class of which all losses are 0
        return self.values[index] / largest[self.labels[index]].clamp(min=smallest)


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
