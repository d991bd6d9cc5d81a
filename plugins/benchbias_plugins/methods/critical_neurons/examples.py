"""Which examples the gradient criterion is of: each group's own, or hard ones, found without group labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn.functional import cross_entropy, softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from benchbias import Batch

Loss = Literal["cross_entropy", "double_softmax_as_published"]
Hard = Literal["hardest", "easiest_as_published"]
CHUNK = 256  # examples of one forward pass


def parts(index: Tensor) -> tuple[Tensor, ...]:
    """Indices in chunks that one forward pass takes."""
    return torch.split(index, CHUNK)


def loss_slopes(
    model: nn.Module, weights: Mapping[str, Tensor], batch: Callable[[Tensor], Batch], index: Tensor, loss: Loss
) -> dict[str, Tensor]:
    """dL/dw of the mean cross-entropy over the examples `index`, in eval mode; L as `loss` says."""
    total = [torch.zeros_like(weight) for weight in weights.values()]
    model.eval()
    for part in parts(index):
        values = losses(model, batch(part), loss).sum() / len(index)
        for sum_, slope in zip(total, torch.autograd.grad(values, list(weights.values())), strict=True):
            sum_ += slope
    return dict(zip(weights, total, strict=True))


def losses(model: nn.Module, batch: Batch, loss: Loss = "cross_entropy") -> Tensor:
    """The loss of each example, (B,). The released code feeds softmax probabilities to a cross-entropy on logits."""
    logits = model(batch.images)  # (B, K)
    return cross_entropy(logits if loss == "cross_entropy" else softmax(logits, 1), batch.labels, reduction="none")


def hard_examples(
    model: nn.Module,
    batch: Callable[[Tensor], Batch],
    total: int,
    pool: int,
    size: int,
    order: Hard,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """`size` examples drawn from the `pool` of highest loss, no group labels needed: int64 (B,).

    easiest_as_published: from those of lowest loss, which is what the released code's ascending sort does.
    """
    model.eval()
    with torch.no_grad():
        each = torch.cat([losses(model, batch(part)) for part in parts(torch.arange(total, device=device))]).cpu()
    candidates = each.sort(descending=order == "hardest", stable=True).indices[:pool]
    drawn = torch.randperm(len(candidates), generator=generator)[:size]
    return candidates[drawn].to(device)
