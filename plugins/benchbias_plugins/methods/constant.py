"""The constant predictor: what an accuracy is worth that knows nothing of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from benchbias import BenchbiasError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import TrainContext, TrainingData


def constant(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
    """Answer with the most frequent class of training, whatever the image (of equally frequent ones the first)."""
    head = context.head(model)
    bias = getattr(head, "bias", None)
    if not isinstance(bias, nn.Parameter):
        raise BenchbiasError("the constant predictor needs a head with a bias")
    counts = torch.bincount(data.train.labels, minlength=len(bias)).to(bias.dtype)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        bias.copy_(
            (counts.clamp(min=0.5) / counts.sum()).log()
        )  # 0.5: a class without an example is not infinitely rare


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"constant": constant}
