"""Networks that differ in seed, order, weights of examples or fixed masks, trained at once: stacked, one step for all.

Equal to training them one after another up to the rounding of sums: their products are made in another order. On a CPU
this is slower than one after another; it is for cards, where the launches of a small network's step cost most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy as each_cross_entropy

from benchbias.data.values import Batch, TrainingData
from benchbias.sparse.holding import Holder
from benchbias.training.fit import FitReport, _epoch, _optimizer, _precision, cross_entropy, fit, step_count
from benchbias.training.losses import example_weights
from benchbias.training.schedules import learning_rates
from benchbias.training.stacking import Stack, refused

if TYPE_CHECKING:
    from benchbias.suite.tables import Recipe
    from benchbias.training.stepping import Loss

AfterEpoch = Callable[[int, nn.Module], None]


@dataclass(frozen=True, eq=False)
class Member:
    """One call of `fit`, with its arguments. holder: who holds the model's mask, or None.

    streams: a context in which the global random streams are the member's own, for its `after_epoch`.
    """

    model: nn.Module
    data: TrainingData
    recipe: Recipe
    order: torch.Generator
    loss: Loss = cross_entropy
    parameters: Sequence[nn.Parameter] | None = None
    sampling: Tensor | None = None
    after_epoch: AfterEpoch | None = None
    holder: Holder | None = None
    streams: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `fit`."""
        names = ("model", "data", "recipe", "order", "loss", "parameters", "sampling", "after_epoch")
        return {name: getattr(self, name) for name in names}

    @property
    def chosen(self) -> list[str]:
        """The names of the parameters that the optimizer is given."""
        given = self.model.parameters() if self.parameters is None else self.parameters
        ours = {id(parameter) for parameter in given if parameter.requires_grad}
        return [name for name, parameter in self.model.named_parameters() if id(parameter) in ours]

    @property
    def length(self) -> int:
        """The examples of an epoch."""
        return len(self.data.train if self.sampling is None else self.sampling)

    @property
    def factors(self) -> dict[str, Tensor]:
        """The factors of each parameter that the mask covers, by name; empty without a mask."""
        if self.holder is None:
            return {}
        named = dict(self.model.named_parameters())
        covered = {**self.holder.mask.tensors, **self.holder.mask.attached}
        return {name: tensor.to(named[name].device, named[name].dtype) for name, tensor in covered.items()}


@dataclass(frozen=True)
class Trained:
    """The outcome of one member. together: how many were trained at once, 1 for one alone; why: it was alone."""

    report: FitReport
    together: int = 1
    why: str = ""


def fit_together(members: Sequence[Member]) -> list[Trained]:
    """Train each member as `fit` does, and those that fit together at once; the others one after another, in order.

    Members that share no stack are alone for a reason, which is told. Raises what `fit` raises.
    """
    trained: list[Trained] = []
    for outcome in outcomes_of(members):
        if not isinstance(outcome, Trained):
            raise outcome
        trained.append(outcome)
    return trained


def outcomes_of(members: Sequence[Member]) -> list[Trained | BaseException]:
    """The same; a member whose training raises has its error for an outcome, and costs the others nothing.

    Where a whole stack cannot be trained, each of its members has that error.
    """
    groups, alone = _grouped(members)
    found: dict[int, Trained | BaseException] = {}
    for group in groups:
        try:
            outcomes = _stacked([members[number] for number in group])
        except Exception as error:
            outcomes = [error for _ in group]
        for number, outcome in zip(group, outcomes, strict=True):
            found[number] = Trained(outcome, len(group)) if isinstance(outcome, FitReport) else outcome
    for number, why in sorted(alone.items()):
        try:
            with members[number].streams():
                found[number] = Trained(fit(**members[number].arguments), why=why)
        except BaseException as error:  # a callback of its own may raise anything
            found[number] = error
    return [found[number] for number in range(len(members))]


def _grouped(members: Sequence[Member]) -> tuple[list[list[int]], dict[int, str]]:
    """The groups that are stacked, and why each other member is alone."""
    alone = {number: why for number, one in enumerate(members) if (why := unfit(one)) is not None}
    groups: list[list[int]] = []
    for number, member in enumerate(members):
        if number in alone:
            continue
        home = next((group for group in groups if difference(members[group[0]], member) is None), None)
        if home is None:
            groups.append([number])
        else:
            home.append(number)
    homes = [members[group[0]] for group in groups]
    for number in [group[0] for group in groups if len(group) == 1]:
        told = next((why for one in homes if (why := difference(one, members[number])) is not None), None)
        alone[number] = told or "there is no other"
    return [group for group in groups if len(group) > 1], alone


def unfit(member: Member) -> str | None:
    """Why a member cannot be trained in a stack at all; None: it can."""
    recipe, model = member.recipe, member.model
    if recipe.schedule == "plateau":
        return "the rates of a plateau follow each network's own loss"
    if recipe.channels_last:
        return "channels_last is a layout of single networks"
    if member.loss is not cross_entropy and example_weights(member.loss) is None:
        return "its loss is neither cross-entropy nor that with weights of examples"
    if member.holder is not None and (member.holder.change is not None or member.holder.model is not model):
        return "its mask changes during training"
    if not member.chosen or step_count(member.data, recipe, member.sampling) == 0:
        return "there is nothing to train"
    if any(_hooked(module) for module in model.modules()):
        return "a layer of its network has hooks"
    return refused(model, member.data)


def _hooked(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(map(bool, hooks))


def difference(one: Member, other: Member) -> str | None:
    """The reason why two members cannot be trained at once; None where they can."""
    pairs: dict[str, Callable[[Member], Any]] = {
        "recipe": lambda member: member.recipe,
        "number of examples": lambda member: member.length,
        "network": lambda member: (type(member.model), repr(member.model), _forms(member.model)),
        "choice of parameters": lambda member: member.chosen,
        "kind of loss": lambda member: example_weights(member.loss) is not None,
        "shape of images": lambda member: member.data.train.images.shape[1:],
        "augmentation": lambda member: member.data.augment,
        "device": lambda member: member.data.train.labels.device,
        "covered weights": lambda member: sorted(member.factors),
    }
    return next((f"another {what}" for what, of in pairs.items() if of(one) != of(other)), None)


def _forms(model: nn.Module) -> dict[str, tuple[Any, ...]]:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: (tensor.shape, tensor.dtype, tensor.requires_grad) for name, tensor in tensors.items()}


@dataclass(frozen=True)
class _Population:
    """Members in training. factors: of their masks, by parameter name, stacked. weights: of examples, one a member."""

    members: Sequence[Member]
    stack: Stack
    optimizer: torch.optim.Optimizer
    rates: Iterator[float]
    precision: torch.autocast | None
    factors: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Sequence[Tensor] = ()

    def step(self, indices: Sequence[Tensor]) -> Tensor:
        """Move every member by its own batch, of its indices (B,); the losses before that, float32 (M,)."""
        batches = [
            one.data.batch(one.data.train, index, True) for one, index in zip(self.members, indices, strict=True)
        ]
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision or nullcontext():
            losses = self.losses(batches)
        losses.sum().backward()  # type: ignore[no-untyped-call]  # no member's loss depends on another's weights
        self.optimizer.param_groups[0]["lr"] = next(self.rates)
        self.optimizer.step()
        with torch.no_grad():  # a fixed mask needs no more: what gathers at a removed weight moves no other
            for name, factor in self.factors.items():
                self.stack.parameters[name].mul_(factor)
        return losses.detach()

    def losses(self, batches: Sequence[Batch]) -> Tensor:
        """The loss of each member on its batch, (M,)."""
        logits = self.stack.logits(torch.stack([batch.images for batch in batches]))  # (M, B, K)
        labels = torch.stack([batch.labels for batch in batches])
        each = each_cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)  # (M, B)
        if not self.weights:
            return each.mean(dim=1)
        pairs = zip(self.weights, batches, strict=True)
        chosen = torch.stack([weights[batch.index] for weights, batch in pairs])
        return (each * chosen).sum(dim=1) / chosen.sum(dim=1)


def _population(members: Sequence[Member]) -> _Population:
    first = members[0]
    device, steps = first.data.train.labels.device, step_count(first.data, first.recipe, first.sampling)
    stack = Stack([member.model for member in members], first.chosen)
    held = [member.factors for member in members]
    weights = [found.to(device) for one in members if (found := example_weights(one.loss)) is not None]
    return _Population(
        members,
        stack,
        _optimizer(stack.chosen, first.recipe, None),
        learning_rates(first.recipe, steps),
        _precision(device, first.recipe),
        {name: torch.stack([factors[name] for factors in held]) for name in held[0]},
        weights,
    )


def _stacked(members: Sequence[Member]) -> list[FitReport | BaseException]:
    """Train members that fit together at once. One whose `after_epoch` raises stays in the stack, and is asked no more.

    So the others come out as if it had not raised.
    """
    population, recipe = _population(members), members[0].recipe
    device = members[0].data.train.labels.device
    told: list[list[float]] = []
    examples = [0] * len(members)
    errors: dict[int, BaseException] = {}
    for epoch in range(1, recipe.epochs + 1):
        population.stack.base.train()
        drawn = [_epoch(one.sampling, one.length, recipe.batch_size, one.order, device) for one in members]
        total = torch.zeros(len(members), device=device)
        for indices in zip(*drawn, strict=True):
            total += population.step(indices)
        told.append((total / len(drawn[0])).tolist())
        examples = [sum(map(len, batches)) + before for batches, before in zip(drawn, examples, strict=True)]
        for number, member in enumerate(members):
            model = population.stack.write_back(number)
            if member.after_epoch is not None and number not in errors:
                model.train()
                try:
                    with member.streams():
                        member.after_epoch(epoch, model)
                except BaseException as error:  # a callback may raise anything
                    errors[number] = error
                population.stack.read_in(number)
    steps = recipe.epochs * len(drawn[0])
    for member in members:
        if member.holder is not None:
            member.holder.step += steps
    losses = zip(*told, strict=True)
    reports = [FitReport(steps, count, tuple(own)) for count, own in zip(examples, losses, strict=True)]
    return [errors.get(number, report) for number, report in enumerate(reports)]
