"""Reweighted training: every group, or every class, counts alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from benchbias import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from benchbias import GroupLabels, TrainContext, TrainingData


def inverse_frequency(kinds: Tensor) -> Tensor:
    """N / (K n_k) for an example of kind k, float (N,): the mean weight is 1, each of the K kinds weighs alike."""
    counts = torch.bincount(kinds).float()
    return len(kinds) / (int((counts > 0).sum()) * counts[kinds])


def reweighted(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    train_groups: GroupLabels,
    *,
    weighting: Literal["loss", "sampling"] = "loss",
) -> None:
    """Weights inverse to the size of each example's group (Sagawa et al., 2020), in the loss or in the sampler."""
    context.fit_weighted(model, data, inverse_frequency(train_groups.groups), weighting)


def class_balanced(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    *,
    weighting: Literal["loss", "sampling"] = "sampling",
) -> None:
    """Weights inverse to the size of each example's class: the same without group labels."""
    context.fit_weighted(model, data, inverse_frequency(data.train.labels), weighting)


def group_balanced(model: nn.Module, data: TrainingData, context: TrainContext, train_groups: GroupLabels) -> None:
    """Repeat each group, example by example, to the size of the largest (SpuCo's UpSampleERM, exact)."""
    groups = train_groups.groups
    largest = int(torch.bincount(groups).max())
    copies = [
        _cycle(torch.nonzero(groups == group)[:, 0], largest)
        for group in range(int(groups.max()) + 1)
        if bool((groups == group).any())
    ]
    context.fit(model, data, sampling=torch.cat(copies).sort().values)


def _cycle(members: Tensor, length: int) -> Tensor:
    return members.repeat(-(-length // len(members)))[:length]


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"reweighted": reweighted, "class_balanced": class_balanced, "group_balanced": group_balanced}
