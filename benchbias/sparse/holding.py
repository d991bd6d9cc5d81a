"""Masks that hold while anything trains, and masks that change while it does: torch's global optimizer hooks."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from benchbias.sparse.copies import Copies
from benchbias.sparse.masks import Mask, apply


@dataclass(frozen=True)
class Updates:
    """When a mask changes during training, and to what.

    every: steps between updates. begin, until: fractions of the steps before which and after which the mask stays;
    the first update comes `every` steps after `begin`, or with at_start at `begin` itself (Google's RigL). ramp:
    `none`: the target from the first step on; `cubic`: from dense to the target by s(t) = s (1 - (1 - t)^3), t going
    from 0 at `begin` to 1 at `until` (Zhu and Gupta, 2017). skip_step: the mask is updated instead of a gradient step
    (RigL, Algorithm 1); after_step: after the step before, with that step's gradients (REST's released code).
    mask_gradients: whether gradients and optimizer state of removed weights are zeroed; without it momentum gathers
    there (REST's released code). reset_state: whether an update zeroes that state; by default as mask_gradients.
    """

    every: int = 100
    until: float = 0.75
    ramp: Literal["none", "cubic"] = "none"
    skip_step: bool = False
    mask_gradients: bool = True
    begin: float = 0.0
    at_start: bool = False
    after_step: bool = False
    reset_state: bool | None = None

    @property
    def clears_state(self) -> bool:
        """Whether an update zeroes the optimizer's state of removed weights."""
        return self.mask_gradients if self.reset_state is None else self.reset_state

    def start(self, total_steps: int) -> int:
        """The step at which the time of updates begins."""
        return math.floor(self.begin * total_steps + 1e-9)

    def end(self, total_steps: int) -> int:
        """The last step before which the mask may change: at most the last step there is."""
        return max(min(math.floor(self.until * total_steps + 1e-9), total_steps - 1), 0)

    def due(self, step: int, total_steps: int) -> bool:
        """Whether the mask changes before this step (0 is the first; a mask is made before training anyway)."""
        start, end = self.start(total_steps), self.end(total_steps)
        first = step == start and self.at_start
        later = start < step <= end and ((step - start) % self.every == 0 or (self.ramp == "cubic" and step == end))
        return first or later

    def progress(self, step: int, total_steps: int) -> float:
        """The fraction of the time of updates that has gone, 0 to 1."""
        start, end = self.start(total_steps), self.end(total_steps)
        return min(max(step - start, 0) / (end - start), 1.0) if end > start else float(step >= end)

    def density(self, target: float, step: int, total_steps: int) -> float:
        """The density to reach at a step."""
        if self.ramp == "none":
            return target
        return 1 - (1 - target) * (1 - (1 - self.progress(step, total_steps)) ** 3)


ALONE = 2  # references to a value that only one name and the call that counts them have

NextMask = Callable[[int, Mapping[str, Tensor]], Mask]
"""(step before which the mask changes, dense gradients) -> the new mask."""


class Holder:
    """Holds a mask on a model under any optimizer and any training loop, and changes it where that is due.

    Before each step the gradients of removed weights are set to zero, so that no momentum gathers there; after it the
    weights are, because weight decay and stale state move them too. Where the mask changes, every state tensor of
    the optimizer is zeroed at removed weights; where the gradients are made inside the step (a closure), after it.
    history: (step, kept weights a tensor) of every mask that was held.
    """

    def __init__(
        self, model: nn.Module, mask: Mask, updates: Updates | None = None, change: NextMask | None = None
    ) -> None:
        self.model, self.updates, self.change = model, updates or Updates(), change
        self.parameters = dict(model.named_parameters())
        self.ours = {id(parameter) for parameter in self.parameters.values()}
        self.history: list[tuple[int, dict[str, int]]] = []
        self.step = self.total_steps = 0
        self.held: list[Tensor] = []  # parameters
        self.factors: list[Tensor] = []  # of each: 1 where it is kept, 0 where it is removed
        self.leader: torch.optim.Optimizer | None = None  # whose steps are counted, where several hold the model
        self.pending: Mapping[str, Tensor] | None = None  # dense gradients, for an update after the step
        self.put(mask, 0)

    def put(self, mask: Mask, step: int) -> None:
        """Hold this mask from a step on; factors of the same parameters stay the same tensors."""
        self.mask = mask
        self.history.append((step, mask.counts()))
        apply(self.model, mask)
        covered = {**mask.tensors, **mask.attached}
        held: list[Tensor] = [self.parameters[name] for name in covered]
        if list(map(id, held)) != list(map(id, self.held)):
            self.held = held
            # factors, not fills: multiplying costs a tenth of masked_fill_ on a CPU
            self.factors = [torch.empty(p.shape, dtype=p.dtype, device=p.device) for p in held]
        for factor, kept in zip(self.factors, covered.values(), strict=True):
            factor.copy_(kept)

    def begin(self, steps: int) -> None:
        """Say how many steps are about to be made, so that `until` and annealing know the end."""
        self.total_steps = self.step + steps
        self.leader = None

    def before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._steps_our_model(optimizer):
            return
        self.leader = self.leader or optimizer
        step = self.step + self.updates.after_step
        if self.change is not None and optimizer is self.leader and self.updates.due(step, self.total_steps):
            dense = self._dense_gradients()
            if self.updates.after_step:
                self.pending = dense
            else:
                self._update(optimizer, step, dense)
            if sys.getrefcount(dense) > ALONE:  # who keeps them reads those of this step
                dense.read_all()
            if self.updates.skip_step:
                for moved in self.parameters.values():
                    moved.grad = None  # torch's optimizers leave a parameter without a gradient alone
        if self.updates.mask_gradients:
            pairs = zip(self.held, self.factors, strict=True)
            given = [(parameter.grad, factor) for parameter, factor in pairs if parameter.grad is not None]
            if given:
                torch._foreach_mul_([gradient for gradient, _ in given], [factor for _, factor in given])

    def after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._steps_our_model(optimizer):
            return
        if self.held:
            with torch.no_grad():
                torch._foreach_mul_(self.held, self.factors)
        closure = len(args) > 1 or kwargs.get("closure") is not None  # args[0] is the optimizer itself
        if closure and self.updates.mask_gradients:
            self._clear_state(optimizer)
        if self.pending is not None and optimizer is self.leader:
            self._update(optimizer, self.step + 1, self.pending)
            self.pending = None
        self.step += optimizer is self.leader

    def _dense_gradients(self) -> Copies:
        """The gradients of this step, each copied when it is read."""
        asked = {name: p for name, p in self.parameters.items() if p.grad is not None or p.ndim > 1}
        return Copies(asked, _gradient)

    def _update(self, optimizer: torch.optim.Optimizer, step: int, dense: Mapping[str, Tensor]) -> None:
        assert self.change is not None
        mask = self.change(step, dense)
        if self.updates.clears_state:  # at weights that were removed until now, and at those that are
            self._clear_state(optimizer, {id(self.parameters[name]) for name in (*mask.tensors, *mask.attached)})
        self.put(mask, step)
        if self.updates.clears_state:
            self._clear_state(optimizer)

    def _clear_state(self, optimizer: torch.optim.Optimizer, chosen: Collection[int] | None = None) -> None:
        """Zero the optimizer's state of removed weights: of all that are held, or of those with these ids."""
        for parameter, factor in zip(self.held, self.factors, strict=True):
            if chosen is not None and id(parameter) not in chosen:
                continue
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.mul_(factor)

    def _steps_our_model(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether this optimizer moves the model at all: a trainer may have others (a probe's head, mask logits)."""
        return any(id(parameter) in self.ours for group in optimizer.param_groups for parameter in group["params"])


def _gradient(parameter: nn.Parameter) -> Tensor:
    """A copy of the gradient; zero where there is none: of a frozen weight, or of one that the loss does not use."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()


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
