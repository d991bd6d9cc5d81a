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


def snip(
    model: nn.Module, data: TrainingData, context: PruneContext, *, batches: Annotated[int, Range(0, 10_000)] = 1
) -> Scores:
    """Keep the connections that the loss is most sensitive to: |w dL/dw| (Lee et al., ICLR 2019, equation 5).

    Meant for a prune stage before any training, so that w are the initial weights. batches: random training batches
    that L is taken over; the paper takes one, 0 is all of training. Its division by the sum changes no order.
    """
    weights = context.prunable(model)
    gradients = loss_gradients(model, data, context.generator, weights, batches)
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


def fresh(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy of a network, in training mode, whose layers draw initial weights of their own."""
    twin = copy.deepcopy(model).train()
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        for module in twin.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
    return twin


def generalised_cross_entropy(logits: Tensor, labels: Tensor, q: float) -> Tensor:
    """(1 - p^q) / q of logits (B, K) and labels (B,), (B,): its gradient is p^q times that of the cross-entropy."""
    right = logits.softmax(dim=1).gather(1, labels[:, None])[:, 0].clamp(min=1e-8)
    return (1 - right**q) / q


def lff(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    *,
    q: Annotated[float, Range(0.1, 1)] = 0.7,
    keep: Annotated[float, Range(0, 0.99)] = 0.7,
) -> None:
    """Learning from failure (Nam et al., NeurIPS 2020, algorithm 1): weight examples by a biased twin's difficulty.

    The twin, a network of the same kind with initial weights of its own, learns what is easy by a generalised
    cross-entropy; the weight of an example is its loss there over the sum of its losses in both. q: of the
    generalised cross-entropy. keep: of the running means of losses, which stand over their class's largest, as in
    the authors' code.
    """
    twin = fresh(model, context.generator)
    easy, hard = Ema(data.train.labels, keep), Ema(data.train.labels, keep)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        ours, theirs = model(batch.images).float(), twin(batch.images).float()
        own = cross_entropy(ours, batch.labels, reduction="none")
        b = easy.update(batch.index, cross_entropy(theirs, batch.labels, reduction="none").detach())
        d = hard.update(batch.index, own.detach())
        difficulty = b / (b + d + 1e-8)  # (B,)
        return generalised_cross_entropy(theirs, batch.labels, q).mean() + (difficulty * own).mean()

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
