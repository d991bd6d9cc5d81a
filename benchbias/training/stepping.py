"""Optimizer steps, one after another: forward, backward, step, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from benchbias.data.values import Batch, TrainingData

Loss = Callable[[nn.Module, Batch], Tensor]
L = TypeVar("L", bound=Loss)


def capturable(loss: L) -> L:
    """Declare that a loss may be recorded once and replayed: on a card, steps then cost one launch instead of hundreds.

    Such a loss is a function of the model and the batch alone. It may read tensors on the batch's device that nobody
    changes. It draws no random numbers from a generator of its own, copies nothing from or to the CPU, looks at no
    value of a tensor, and changes nothing that Python sees. On a CPU the declaration has no effect.
    """
    loss._capturable = loss  # type: ignore[attr-defined]  # itself: functools.wraps copies attributes to wrappers
    return loss


def is_capturable(loss: Loss) -> bool:
    """Whether this very loss was declared, and not one that it wraps."""
    return getattr(loss, "_capturable", None) is loss


@dataclass(frozen=True)
class Stepping:
    """Everything that the steps of one `fit` work with.

    parameters: what the optimizer is given. rates: the learning rate of each step, or None where the optimizer's stays.
    precision: the context of every forward pass, or None.
    """

    model: nn.Module
    data: TrainingData
    loss: Loss
    optimizer: torch.optim.Optimizer
    parameters: Sequence[nn.Parameter]
    rates: Iterator[float] | None
    precision: torch.autocast | None
    channels_last: bool

    def epoch(self, indices: Sequence[Tensor]) -> Tensor:
        """Step once for each batch of indices (B,) into the training split; the sum of their losses, float32 ()."""
        total = torch.zeros((), device=self.data.train.labels.device)
        for index in indices:
            self.set_rate()
            total += self.step(self.batch(index))
        return total

    def set_rate(self) -> None:
        """Give the optimizer the learning rate of the next step."""
        if self.rates is None:
            return
        group = self.optimizer.param_groups[0]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(next(self.rates))
        else:
            group["lr"] = next(self.rates)

    def batch(self, index: Tensor) -> Batch:
        """The examples `index` (B,), normalised and augmented."""
        return self.laid_out(self.data.batch(self.data.train, index, augment=True))

    def laid_out(self, batch: Batch) -> Batch:
        """The batch in the memory format of the recipe."""
        if not self.channels_last:
            return batch
        return Batch(batch.images.contiguous(memory_format=torch.channels_last), batch.labels, batch.index)

    def step(self, batch: Batch) -> Tensor:
        """Move the model by one batch; the loss before that, ()."""
        for parameter in self.parameters:
            parameter.grad = None
        if self.precision is None:
            value = self.loss(self.model, batch)
        else:
            with self.precision:
                value = self.loss(self.model, batch)
        value.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return value.detach()
