"""Fine-tuning against a pruned branch: stage 2 of critical neurons (You et al., Nature Communications 2025)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, one_hot

from benchbias import BenchbiasError, Mask, Range, highest, hookimpl, nt_xent

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from benchbias import Batch, TrainContext, TrainingData

Term = Literal["squared_error", "cross_entropy", "softmax_cross_entropy"]


class Branch(nn.Module):
    """A model that answers with what goes into its head and with its logits: it can be called with other weights."""

    def __init__(self, model: nn.Module, context: TrainContext) -> None:
        super().__init__()
        self.model, self.context = model, context

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images (B, C, H, W) -> features (B, D), logits (B, K)."""
        features = self.context.features(self.model, images)
        return features, self.context.head(self.model)(features)


def pruned_answers(branch: Branch, mask: Mask, images: Tensor, *, move_statistics: bool) -> tuple[Tensor, Tensor]:
    """Features (B, D) and logits (B, K) of the same weights under a mask; gradients reach the kept weights.

    move_statistics: whether the pass moves batch-norm statistics; if not, it moves a copy of them.
    """
    parameters = dict(branch.model.named_parameters())
    masks = {**mask.tensors, **mask.attached}
    weights = {name: parameters[name] * kept.to(parameters[name].device) for name, kept in masks.items()}
    buffers = {} if move_statistics else {name: buffer.clone() for name, buffer in branch.model.named_buffers()}
    given = {f"model.{name}": tensor for name, tensor in (weights | buffers).items()}
    answers: tuple[Tensor, Tensor] = functional_call(branch, given, images)
    return answers


def smallest_masked(model: nn.Module, mask: Mask) -> Mask:
    """A mask of as many weights as `mask` removes: the smallest |w| of today, over its layers together."""
    parameters = dict(model.named_parameters())
    sizes = torch.cat([parameters[name].detach().abs().flatten().cpu() for name in mask.tensors])
    kept = highest(sizes.flip(0), sum(mask.counts().values())).flip(0)  # of equal ones the last, as the code's sort
    parts = torch.split(kept, [tensor.numel() for tensor in mask.tensors.values()])
    return Mask({name: part.view_as(mask.tensors[name]) for name, part in zip(mask.tensors, parts, strict=True)})


def supervised(logits: Tensor, labels: Tensor, term: Term) -> Tensor:
    """The supervised term, shape (): ||softmax(z) - y||^2, cross-entropy, or that of softmax answers."""
    if term == "cross_entropy":
        return cross_entropy(logits, labels)
    probabilities = logits.softmax(dim=1)  # (B, K)
    if term == "softmax_cross_entropy":
        return cross_entropy(probabilities, labels)
    return (probabilities - one_hot(labels, logits.shape[1])).square().sum(dim=1).mean()


def critical_finetuning(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    *,
    temperature: Annotated[float, Range(0.01, 10, log=True)] = 0.5,
    weight: Annotated[float, Range(0, 100)] = 0.2,
    contrast: Annotated[float, Range(0, 100)] = 1.0,
    term: Term = "squared_error",
    contrasted: Literal["features", "softmax"] = "features",
    mask_again: Literal["never", "smallest_each_epoch"] = "never",
    pruned_statistics: bool = False,
) -> None:
    """Train on NT-Xent between the model and its pruned self plus a supervised term of the model's own answers.

    The loss is contrast * NT-Xent(full, pruned) + weight * term. Both branches have the same weights and see the same
    images; the pruned one lacks what the auxiliary mask of an earlier prune stage (`mask = "auxiliary"`) removes. Both
    get gradients, which is also what the released code's two halves with one branch held fixed add up to.
    temperature: tau. weight: lambda. contrast: 0 is the supervised term alone. term: the slides' squared error, a
    cross-entropy, or a cross-entropy of softmax answers. contrasted: what goes into the head, or the softmax answers.
    mask_again: `smallest_each_epoch` masks before every epoch as many of the then smallest weights as the mask
    removes. pruned_statistics: whether passes of the pruned branch move batch-norm statistics.
    """
    mask = context.auxiliary_mask
    if mask is None:
        raise BenchbiasError('critical_finetuning needs a prune stage with mask = "auxiliary" before it')
    branch, again = Branch(model, context), mask_again == "smallest_each_epoch"
    now = smallest_masked(model, mask) if again else mask

    def mask_now(epoch: int, model: nn.Module) -> None:
        nonlocal now
        now = smallest_masked(model, mask) if again else mask

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        full, logits = branch(batch.images)  # (B, D), (B, K)
        value = weight * supervised(logits, batch.labels, term)
        if not contrast:
            return value
        pruned, answers = pruned_answers(branch, now, batch.images, move_statistics=pruned_statistics)
        if contrasted == "softmax":
            full, pruned = logits.softmax(dim=1), answers.softmax(dim=1)
        return value + contrast * nt_xent(full, pruned, temperature)

    context.fit(model, data, loss=loss, after_epoch=mask_now)


critical_finetuning_released = functools.partial(
    critical_finetuning,
    term="softmax_cross_entropy",
    contrasted="softmax",
    mask_again="smallest_each_epoch",
    pruned_statistics=True,
)
"""The variant of the released code, where it and the slides differ."""


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {
        "critical_finetuning": critical_finetuning,
        "critical_finetuning_released": critical_finetuning_released,
    }
