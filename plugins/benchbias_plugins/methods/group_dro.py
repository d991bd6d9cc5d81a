"""Group DRO: weight the groups by their losses, online (Sagawa et al., ICLR 2020, Algorithm 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch.nn.functional import cross_entropy

from benchbias import Range, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from benchbias import Batch, GroupLabels, TrainContext, TrainingData


def group_means(losses: Tensor, groups: Tensor, number: int) -> Tensor:
    """The mean loss of each group of a batch, (G,); 0 for a group without an example, as in the paper's code."""
    counts = torch.bincount(groups, minlength=number)
    return torch.zeros(number, device=losses.device).index_add(0, groups, losses) / counts.clamp(min=1)


def group_dro(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    train_groups: GroupLabels,
    *,
    step_size: Annotated[float, Range(1e-4, 1, log=True)] = 0.01,
    adjustment: Annotated[float, Range(0, 10)] = 0.0,
) -> None:
    """Minimise sum_g q_g l_g, where q_g grows with exp(step_size * l_g); batches are balanced over groups.

    step_size: eta_q. adjustment: C of the C / sqrt(n_g) added to the losses that move q (the paper's generalisation
    adjustment). Groups that do not occur in training have no weight.
    """
    groups = train_groups.groups
    number = len(train_groups.group_names)
    counts = torch.bincount(groups, minlength=number).float()
    present = (counts > 0).float()
    extra = torch.where(counts > 0, adjustment / counts.clamp(min=1).sqrt(), 0.0)
    q = present / present.sum()  # (G,)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        nonlocal q
        losses = cross_entropy(model(batch.images), batch.labels, reduction="none")  # (B,)
        means = group_means(losses.float(), groups[batch.index], number)
        q = q * torch.exp(step_size * (means.detach() + extra))  # before the loss, and without a gradient
        q = q / q.sum()
        return (q * means).sum()

    context.fit(model, data, loss=loss, sampling=1 / counts[groups])


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"group_dro": group_dro}
