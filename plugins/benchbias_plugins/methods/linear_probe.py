"""A linear probe: what a frozen network's features say about the class, linearly (Alain and Bengio, 2016)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchbias import capturable, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from benchbias import Batch, TrainContext, TrainingData


def frozen_features(model: nn.Module, data: TrainingData, context: TrainContext) -> Tensor:
    """The features that go into the head for every training image as it is, in eval mode: float (N, D)."""
    model.eval()
    with torch.no_grad():
        return torch.cat([context.features(model, batch.images) for batch in data.batches(data.train)])


def linear_probe(model: nn.Module, data: TrainingData, context: TrainContext, *, as_published: bool = False) -> None:
    """Train the head, from zero, on the frozen features of all that stands before it; nothing else moves.

    Features are those of eval mode and of the images as they are, so batch-norm statistics do not move either.
    as_published: the probe of "Effect of Neural Network Pruning on Spurious Correlation" as released, which is never
    trained: a random head, whose answers are normalised over the batch (here the training split), not over classes.
    """
    head, features = context.head(model), frozen_features(model, data, context)
    if as_published:
        _random_head(head, features, context.generator)
        return
    for parameter in head.parameters():
        nn.init.zeros_(parameter)

    @capturable
    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return cross_entropy(head(features[batch.index]), batch.labels)

    context.fit(model, data, loss=loss, parameters=head.parameters())


def _random_head(head: nn.Module, features: Tensor, generator: torch.Generator) -> None:
    """torch's default first weights; a softmax over examples is a shift of each class's logit by a log-sum-exp."""
    bound = 1 / math.sqrt(features.shape[1])
    parameters = dict(head.named_parameters())
    for parameter in parameters.values():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    with torch.no_grad():
        if "bias" in parameters:
            parameters["bias"].sub_(head(features).logsumexp(dim=0))


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"linear_probe": linear_probe}
