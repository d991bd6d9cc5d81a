"""Captured steps: on a card, all launches of a training step recorded once and made by one call, with the same bytes.

The step reads where it is in the epoch from a tensor, and by that its examples, their augmentation and its learning
rate, which are copied to the card once an epoch. Nothing is drawn on the card that was drawn on the CPU before. The
augmentation of an epoch is drawn ahead, batch by batch: a pruner inside training has streams of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import optimizer as optimizers
from torch.utils._python_dispatch import _get_current_dispatch_mode

from benchbias.data.augment import Augmenter, Draws, Normaliser, drawn
from benchbias.data.values import Batch
from benchbias.network import counting
from benchbias.sparse.holding import Holder
from benchbias.training.graphs import Graph
from benchbias.training.step_state import StepState
from benchbias.training.stepping import Stepping, is_capturable

WARM_UP = 3  # steps before a capture: torch's libraries and the optimizer's state are set up in them
COMPARED = 10  # steps that are made both ways, and must leave the same bytes
LEAST = 4 * (WARM_UP + COMPARED)  # steps of a fit: for fewer a capture does not pay


class Steps(Protocol):
    """Makes the steps of an epoch."""

    def epoch(self, indices: Sequence[Tensor]) -> Tensor:
        """Step once for each batch of indices; the sum of their losses, ()."""
        ...


def steps_of(
    stepping: Stepping, total_steps: int, make: Callable[[], Graph] | None, say: Callable[[str], None]
) -> Steps:
    """Choose how steps are made: captured where that can be done, else one launch after another.

    make: makes a graph; None on a CPU. say: told once why steps on a card are not captured.
    """
    if make is None:
        return stepping
    if (why := refusal(stepping)) is not None:
        say(why)
        return stepping
    return CapturedSteps(stepping, make, say) if total_steps >= LEAST else stepping


def refusal(stepping: Stepping) -> str | None:
    """The reason why these steps cannot be captured: something in them runs Python each time; None without one."""
    model, data = stepping.model, stepping.data
    if stepping.rates is None:
        return "the schedule plateau sets the learning rate by the validation loss"
    if not is_capturable(stepping.loss):
        return "the loss is not declared with benchbias.capturable"
    if data.train.images.device != data.train.labels.device:
        return "the images do not fit on the card beside what else is there"
    if any(getattr(module, "capturable", True) is False for module in model.modules()):
        return "the model says of itself capturable = False"
    if _get_current_dispatch_mode() is not None:
        return "operations are watched by a dispatch mode"
    if _foreign_hooks() or _has_hooks(model):
        return "a hook watches the optimizer, the model or its parameters"
    return None


def _foreign_hooks() -> bool:
    """Whether a hook of all optimizers is neither a holder's nor the counter's, which is off while `fit` runs."""
    hooks = (*optimizers._global_optimizer_pre_hooks.values(), *optimizers._global_optimizer_post_hooks.values())
    return any(
        not isinstance(getattr(hook, "__self__", None), Holder)
        and getattr(hook, "__module__", None) != counting.__name__
        for hook in hooks
    )


def _holders(parameters: Sequence[nn.Parameter]) -> list[Holder]:
    """The holders of a mask on the model that these parameters are of: others let the optimizer alone."""
    owners = [getattr(hook, "__self__", None) for hook in optimizers._global_optimizer_pre_hooks.values()]
    holders = [owner for owner in owners if isinstance(owner, Holder)]
    return [holder for holder in holders if not holder.ours.isdisjoint(map(id, parameters))]


_MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def _has_hooks(model: nn.Module) -> bool:
    own = any(getattr(module, name, None) for module in model.modules() for name in _MODULE_HOOKS)
    of_parameters = any(getattr(parameter, name, None) for parameter in model.parameters() for name in _TENSOR_HOOKS)
    return own or of_parameters or bool(nn.modules.module._has_any_global_hook())  # type: ignore[no-untyped-call]


class CapturedSteps:
    """Makes full batches' steps by a graph, and eagerly those that cannot be.

    Eager are: the first steps (nothing has to be put back after them), a short last batch, and a step at which a mask
    changes. The first captured ones are made both ways: the eager one stands. Where they differ, or where a capture
    fails, that is said once, and all further steps are eager.
    """

    def __init__(self, stepping: Stepping, make: Callable[[], Graph], say: Callable[[str], None]) -> None:
        self.stepping, self.make, self.say = stepping, make, say
        rate = stepping.optimizer.param_groups[0]["lr"]
        assert isinstance(rate, Tensor)
        self.rate = rate
        data, device = stepping.data, stepping.data.train.labels.device
        shape = data.train.images.shape[1:]
        self.normaliser = Normaliser.of(data.mean, data.std, shape, device)
        self.augmenter = Augmenter.of(data.augment, shape, device)
        self.total = torch.zeros((), device=device)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)  # of the next step in the epoch
        self.order: Tensor | None = None  # int64 (S, B), an epoch's full batches
        self.rates = torch.zeros(0)  # (S,)
        self.draws: Draws = ()  # (S, B, ...) each
        self.refused = False
        self._begin()

    def _begin(self) -> None:
        """Start anew: nothing is captured."""
        self.graph, self.captured = self.make(), False
        self.holders = _holders(self.stepping.parameters)
        self.warm = self.compared = 0
        self.form: Any = None  # what it was captured with
        self.factors: list[list[Tensor]] = []  # of each holder, which the graph multiplies by
        self.gradients: list[Tensor | None] = []
        self.astray = False  # whether gradients are others than the graph's

    def epoch(self, indices: Sequence[Tensor]) -> Tensor:
        """Step once for each batch of indices; the sum of their losses, ()."""
        full = sum(len(index) == len(indices[0]) for index in indices)
        data, stepping = self.stepping.data, self.stepping
        assert stepping.rates is not None
        rates = list(itertools.islice(stepping.rates, len(indices)))
        shape, stream = data.train.images.shape[1:], data.augment_generator
        draws = [drawn(data.augment, len(index), shape, stream) for index in indices]
        self._lay_out(indices[:full], rates[:full], draws[:full])
        if not self.refused and (why := refusal(stepping)) is not None:
            self._refuse(why)
        if self.captured and self.form != self._form():
            self._begin()
        self.total.zero_()
        for _ in range(full):
            self._step()
        for index, rate, drawn_ in zip(indices[full:], rates[full:], draws[full:], strict=True):
            self.rate.fill_(rate)
            moved = tuple(draw.to(index.device) for draw in drawn_)
            self.total.add_(stepping.step(self._batch(index, moved)))
            self._settle()
        return self.total

    def _lay_out(self, indices: Sequence[Tensor], rates: Sequence[float], draws: Sequence[Draws]) -> None:
        """Put an epoch's full batches where the step finds them."""
        order = torch.stack(list(indices))
        stacked = tuple(torch.stack(parts).to(order.device) for parts in zip(*draws, strict=True))
        at = torch.tensor(rates, dtype=self.rate.dtype).to(order.device)
        if self.order is None:
            self.order, self.draws, self.rates = order, stacked, at
        else:
            for kept, new in zip((self.order, self.rates, *self.draws), (order, at, *stacked), strict=True):
                kept.copy_(new)
        self.position.zero_()

    def _make_step(self) -> None:
        """Make the step at `position`: what is captured, and what is made eagerly."""
        assert self.order is not None
        index = self.order.index_select(0, self.position)[0]
        draws = tuple(draw.index_select(0, self.position)[0] for draw in self.draws)
        self.rate.copy_(self.rates.index_select(0, self.position)[0])
        self.total.add_(self.stepping.step(self._batch(index, draws)))
        self.position.add_(1)

    def _batch(self, index: Tensor, draws: Draws) -> Batch:
        train = self.stepping.data.train
        images = self.augmenter(train.images.index_select(0, index), draws, self.normaliser)
        return self.stepping.laid_out(Batch(images, train.labels.index_select(0, index), index))

    def _step(self) -> None:
        if self.refused or self._due():
            self._eagerly()
        elif self.warm < WARM_UP:
            with self.graph.beside():
                self._eagerly()
            self.warm += 1
        else:
            if not self.captured:
                self._capture()
            if self.refused:
                self._eagerly()
            elif self.compared < COMPARED:
                self._both_ways()
            else:
                self._replay()

    def _due(self) -> bool:
        """Whether a mask changes at this step, or after it: then Python is needed."""
        optimizer = self.stepping.optimizer
        return any(
            holder.change is not None
            and holder.leader in (None, optimizer)
            and holder.updates.due(holder.step + holder.updates.after_step, holder.total_steps)
            for holder in self.holders
        )

    def _eagerly(self) -> None:
        self._make_step()
        self._settle()

    def _settle(self) -> None:
        """Have the graph's tensors hold what an eager step has put into others: factors of a new mask."""
        self.astray = True
        for holder, factors in zip(self.holders, self.factors, strict=False):
            if holder.factors is factors:
                continue
            if [factor.shape for factor in factors] != [factor.shape for factor in holder.factors]:
                self._begin()  # another set of weights is held
                return
            for kept, new in zip(factors, holder.factors, strict=True):
                kept.copy_(new)
            holder.factors = factors

    def _capture(self) -> None:
        before = StepState.of(self.stepping, (self.total, self.position))
        steps = [holder.step for holder in self.holders]
        try:
            self.graph.capture(self._make_step)
        except Exception as error:  # whatever torch, a library or a model cannot have recorded
            before.put_back()
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._refuse(f"the capture failed ({first})")
        self._steps_are(steps)
        self.captured, self.form = True, self._form()
        self.factors = [holder.factors for holder in self.holders]
        self.gradients = [parameter.grad for parameter in self.stepping.parameters]

    def _replay(self) -> None:
        if self.astray:
            for parameter, gradient in zip(self.stepping.parameters, self.gradients, strict=True):
                parameter.grad = gradient
            self.astray = False
        steps = [holder.step + (holder.leader is self.stepping.optimizer) for holder in self.holders]
        self.graph.replay()
        self._steps_are(steps)

    def _both_ways(self) -> None:
        """Make a step by the graph, put everything back, make it eagerly, and compare."""
        fixed = (self.total, self.position)
        steps = [holder.step for holder in self.holders]
        before = StepState.of(self.stepping, fixed)
        self._replay()
        replayed = StepState.of(self.stepping, fixed)
        before.put_back()
        self._steps_are(steps)
        self._eagerly()
        odd = replayed.difference(StepState.of(self.stepping, fixed))
        if odd is not None:
            self._refuse(f"a captured step left other bytes in {odd} than an eager one")
        self.compared += 1

    def _steps_are(self, steps: Sequence[int]) -> None:
        """Count the steps of the holders, whose hooks run in Python: a graph may call them, or not."""
        for holder, step in zip(self.holders, steps, strict=True):
            holder.step = step

    def _refuse(self, why: str) -> None:
        self.refused = True
        self.say(why)

    def _form(self) -> tuple[Any, ...]:
        """Everything but numbers that a graph is captured with: where it changes, the graph is another step's."""
        model, groups = self.stepping.model, self.stepping.optimizer.param_groups
        tensors = (*model.parameters(), *model.buffers())
        return (
            tuple((tensor.data_ptr(), tensor.requires_grad) for tensor in tensors),
            tuple(module.training for module in model.modules()),
            [{key: value for key, value in group.items() if key not in ("params", "lr")} for group in groups],
            [id(holder) for holder in _holders(self.stepping.parameters)],
        )
