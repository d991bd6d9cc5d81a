"""SNIP, learning from failure, and the gap between classes: three components in one module."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias import (
    Batch,
    Predictions,
    PruneContext,
    Range,
    Scores,
    TrainContext,
    TrainingData,
    hookimpl,
    loss_gradients,
)


def snip(model: nn.Module, data: TrainingData, context: PruneContext) -> Scores:
    """Keep the weights that the loss depends on most: |w dL/dw| (Lee et al., ICLR 2019), over all of training.

    Meant for a prune stage before any training.
    """
    weights = context.prunable(model)
    gradients = loss_gradients(model, data, context.generator, weights, batches=0)
    return {name: (weight * gradients[name]).abs() for name, weight in weights.items()}


class Ema:
    """A running mean of each training example's loss, and the largest of every class (N,), (K,)."""

    def __init__(self, labels: Tensor, keep: float) -> None:
        self.labels, self.keep = labels, keep
        self.mean = torch.zeros(len(labels), device=labels.device)
        self.seen = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)

    def update(self, index: Tensor, losses: Tensor) -> Tensor:
        """Note the losses (B,) of examples `index` (B,); their means over their class's largest one, (B,)."""
        old = torch.where(self.seen[index], self.mean[index], losses)
        self.mean[index] = self.keep * old + (1 - self.keep) * losses
        self.seen[index] = True
        largest = torch.zeros(int(self.labels.max()) + 1, device=losses.device)
        largest = largest.scatter_reduce(0, self.labels, self.mean, "amax", include_self=False)
        return self.mean[index] / largest[self.labels[index]].clamp(min=1e-8)


def lff(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    *,
    q: Annotated[float, Range(0.1, 1)] = 0.7,
    keep: Annotated[float, Range(0, 0.99)] = 0.7,
) -> None:
    """Learning from failure (Nam et al., NeurIPS 2020): weight examples by how badly a biased twin does on them.

    q: of the twin's generalised cross-entropy (1 - p^q) / q, which follows what is easy. keep: of the running means
    of losses. The twin starts from the same weights, where the paper's has its own.
    """
    twin = copy.deepcopy(model)
    easy, hard = Ema(data.train.labels, keep), Ema(data.train.labels, keep)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        ours, theirs = model(batch.images), twin(batch.images)
        right = theirs.softmax(dim=1).gather(1, batch.labels[:, None])[:, 0].clamp(min=1e-8)
        own = cross_entropy(ours, batch.labels, reduction="none")
        theirs_loss = cross_entropy(theirs, batch.labels, reduction="none").detach()
        b, d = easy.update(batch.index, theirs_loss.float()), hard.update(batch.index, own.detach().float())
        difficulty = b / (b + d + 1e-8)  # (B,)
        total: Tensor = ((1 - right**q) / q).mean() + (difficulty * own).mean()
        return total

    context.fit(model, data, loss=loss, parameters=[*model.parameters(), *twin.parameters()])


def class_gap(predictions: Predictions) -> float:
    """The highest recall of a class less the lowest one; undefined where a class has no example."""
    total = torch.bincount(predictions.labels, minlength=predictions.logits.shape[1])
    right = torch.bincount(predictions.labels[predictions.correct], minlength=len(total))
    recall = right.double() / total
    return float(recall.max() - recall.min())


@hookimpl
def benchbias_pruners() -> dict[str, Callable[..., Scores]]:
    return {"snip": snip}


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"lff": lff}


@hookimpl
def benchbias_metrics() -> dict[str, Callable[..., float]]:
    return {"class_gap": class_gap}
