"""REST: weight the bias-conflicting examples and train sparsely with RigL (Zhao et al., 2023).

This module is the weights of Eq. 6; the sparse half is `prune = { use = "rigl", budget = "erk" }` in the same stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch

from benchbias import Range, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from benchbias import GroupLabels, TrainContext, TrainingData


def rest(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    train_groups: GroupLabels,
    *,
    upweight: Annotated[float, Range(1, 1000, log=True)] = 80.0,
    weighting: Literal["loss", "sampling"] = "loss",
) -> None:
    """Weight beta for bias-conflicting examples and 1 for aligned ones, given as an oracle.

    upweight: beta. weighting: `loss` is the paper's Eq. 6, normalised by the weights of the batch; `sampling` is
    the released code's sampler: N draws with replacement an epoch.
    """
    weights = torch.where(train_groups.aligned, 1.0, upweight)
    context.fit_weighted(model, data, weights, weighting)


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"rest": rest}
