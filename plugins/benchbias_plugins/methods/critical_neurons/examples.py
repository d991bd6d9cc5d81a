"""The gradient criterion: its loss, the hard examples it is taken on, and the norms of the neurons' gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn.functional import cross_entropy, softmax

from benchbias import BenchbiasError

from .neurons import Linear, held, neuron_norms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from benchbias import Batch, Mask

Loss = Literal["cross_entropy", "double_softmax_as_published"]
Hard = Literal["hardest", "easiest_as_published"]
CHUNK = 256  # examples of one forward pass


def parts(index: Tensor) -> tuple[Tensor, ...]:
    """Indices in chunks that one forward pass takes."""
    return torch.split(index, CHUNK)


def loss_slopes(
    model: nn.Module, weights: Mapping[str, Tensor], batch: Callable[[Tensor], Batch], index: Tensor, loss: Loss
) -> dict[str, Tensor]:
    """dL/dw of the mean loss over the examples `index`, in eval mode; `loss` says which."""
    total = [torch.zeros_like(weight) for weight in weights.values()]
    model.eval()
    for part in parts(index):
        values = losses(model, batch(part), loss).sum() / len(index)
        for sum_, slope in zip(total, torch.autograd.grad(values, list(weights.values())), strict=True):
            sum_ += slope
    return dict(zip(weights, total, strict=True))


def gradient_norms(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    batch: Callable[[Tensor], Batch],
    index: Tensor,
    *,
    loss: Loss = "cross_entropy",
    linear: Linear = "units",
    mask: Mask | None = None,
) -> dict[str, Tensor]:
    """||dL/dz_i||_2 of the neurons on the examples `index`; what the mask in force has removed has no gradient.

    Raises BenchbiasError where a gradient is not finite: such neurons have no order.
    """
    norms = neuron_norms(held(loss_slopes(model, weights, batch, index, loss), mask), linear)
    for name, norm in norms.items():
        if not bool(norm.isfinite().all()):
            raise BenchbiasError(f"critical neurons: the gradient of {name!r} is not finite")
    return norms


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
    """Draw `size` examples from the `pool` of highest loss, without group labels: int64 (B,).

    easiest_as_published: from those of lowest loss, which is what the released code's ascending sort does.
    """
    model.eval()
    with torch.no_grad():
        each = torch.cat([losses(model, batch(part)) for part in parts(torch.arange(total, device=device))]).cpu()
    candidates = each.sort(descending=order == "hardest", stable=True).indices[:pool]
    drawn = torch.randperm(len(candidates), generator=generator)[:size]
    return candidates[drawn].to(device)
