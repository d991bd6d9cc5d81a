"""Masks that hold while anything trains, and masks that change while it does: torch's global optimizer hooks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from benchbias.masks import Mask, apply


@dataclass(frozen=True)
class Updates:
    """When a mask changes during training, and to what.

    every: steps between updates. until: fraction of the steps after which the mask stays. ramp: `none`: the target
    from the first step on; `cubic`: from dense to the target by s(t) = s (1 - (1 - t / T)^3) (Zhu and Gupta, 2017).
    skip_step: the mask is updated instead of a gradient step (RigL, Algorithm 1). mask_gradients: whether gradients
    and optimizer state of removed weights are zeroed; without it momentum gathers there (REST's released code).
    """

    every: int = 100
    until: float = 0.75
    ramp: Literal["none", "cubic"] = "none"
    skip_step: bool = False
    mask_gradients: bool = True

    def end(self, total_steps: int) -> int:
        """The last step before which the mask may change: at most the last step there is."""
        return max(min(math.floor(self.until * total_steps + 1e-9), total_steps - 1), 0)

    def due(self, step: int, total_steps: int) -> bool:
        """Whether the mask changes before this step (0 is the first; its mask is made before training)."""
        end = self.end(total_steps)
        return 0 < step <= end and (step % self.every == 0 or (self.ramp == "cubic" and step == end))

    def progress(self, step: int, total_steps: int) -> float:
        """The fraction of the time of updates that has gone, 0 to 1."""
        end = self.end(total_steps)
        return min(step / end, 1.0) if end else 1.0

    def density(self, target: float, step: int, total_steps: int) -> float:
        """The density to reach at a step."""
        if self.ramp == "none":
            return target
        return 1 - (1 - target) * (1 - (1 - self.progress(step, total_steps)) ** 3)


Change = Callable[[int, Mapping[str, Tensor]], Mask]
"""(step, dense gradients of this step) -> the new mask."""


class Holder:
    """Holds a mask on a model under any optimizer and any training loop, and changes it where that is due.

    Before each step the gradients of removed weights are set to zero, so that no momentum gathers there; after it the
    weights are, because weight decay and stale state move them too. Where the mask changes, every state tensor of
    the optimizer is zeroed at removed weights; where the gradients are made inside the step (a closure), after it.
    history: (step, kept weights a tensor) of every mask that was held.
    """

    def __init__(
        self, model: nn.Module, mask: Mask, updates: Updates | None = None, change: Change | None = None
    ) -> None:
        self.model, self.updates, self.change = model, updates or Updates(), change
        self.parameters = dict(model.named_parameters())
        self.ours = {id(parameter) for parameter in self.parameters.values()}
        self.history: list[tuple[int, dict[str, int]]] = []
        self.step = self.total_steps = 0
        self.leader: torch.optim.Optimizer | None = None  # whose steps are counted, where several hold the model
        self.put(mask)

    def put(self, mask: Mask) -> None:
        """Hold this mask from now on."""
        self.mask = mask
        self.history.append((self.step, mask.counts()))
        apply(self.model, mask)
        covered = {**mask.tensors, **mask.attached}
        self.held: list[Tensor] = [self.parameters[name] for name in covered]
        # factors, not fills: multiplying costs a third of masked_fill_ on a CPU
        self.factors = [tensor.to(p.device, p.dtype) for p, tensor in zip(self.held, covered.values(), strict=True)]

    def begin(self, steps: int) -> None:
        """Say how many steps are about to be made, so that `until` and annealing know the end."""
        self.total_steps = self.step + steps
        self.leader = None

    def before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._steps_our_model(optimizer):
            return
        self.leader = self.leader or optimizer
        due = optimizer is self.leader and self.updates.due(self.step, self.total_steps)
        if self.change is not None and due:
            dense = {name: p.grad.detach().clone() for name, p in self.parameters.items() if p.grad is not None}
            self.put(self.change(self.step, dense))
            if self.updates.mask_gradients:
                self._clear_state(optimizer)
            if self.updates.skip_step:
                for moved in self.parameters.values():
                    moved.grad = None  # torch's optimizers leave a parameter without a gradient alone
        if self.updates.mask_gradients:
            for parameter, factor in zip(self.held, self.factors, strict=True):
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)

    def after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._steps_our_model(optimizer):
            return
        with torch.no_grad():
            for parameter, factor in zip(self.held, self.factors, strict=True):
                parameter.mul_(factor)
        closure = len(args) > 1 or kwargs.get("closure") is not None  # args[0] is the optimizer itself
        if closure and self.updates.mask_gradients:
            self._clear_state(optimizer)
        self.step += optimizer is self.leader

    def _clear_state(self, optimizer: torch.optim.Optimizer) -> None:
        for parameter, factor in zip(self.held, self.factors, strict=True):
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.mul_(factor)

    def _steps_our_model(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether this optimizer moves the model at all: a trainer may have others (a probe's head, mask logits)."""
        return any(id(parameter) in self.ours for group in optimizer.param_groups for parameter in group["params"])


@contextmanager
def enforced(model: nn.Module, mask: Mask | None) -> Iterator[None]:
    """Hold a mask on a model; without one, do nothing."""
    if mask is None:
        yield
        return
    with holding(Holder(model, mask)):
        yield


@contextmanager
def holding(holder: Holder) -> Iterator[None]:
    """Register a holder's hooks for the time of the block; the mask holds at its end too."""
    handles = [register_optimizer_step_pre_hook(holder.before), register_optimizer_step_post_hook(holder.after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        apply(holder.model, holder.mask)  # for loops that use no optimizer
