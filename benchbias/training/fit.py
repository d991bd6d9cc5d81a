"""fit(): the only training loop. Data on the device, index batches from a seeded generator, nothing else in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchbias.data.values import Batch, Split, TrainingData
from benchbias.errors import ComponentError
from benchbias.network.counting import uncounted
from benchbias.network.inspect import evaluating
from benchbias.network.weights import load_state
from benchbias.training.captured import steps_of
from benchbias.training.graphs import graph_maker
from benchbias.training.schedules import learning_rates
from benchbias.training.stepping import Loss, Stepping, capturable

if TYPE_CHECKING:
    from benchbias.suite.tables import Recipe

Snapshot = dict[str, Tensor]


@dataclass(frozen=True)
class FitReport:
    """The report of one call of fit: steps taken, examples seen, mean training loss of each epoch.

    flops: counted of work outside of fit, which makes a report of its own without steps.
    """

    steps: int
    examples: int
    losses: tuple[float, ...]
    flops: int = 0


@capturable
def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy of a batch, shape ()."""
    return nn.functional.cross_entropy(model(batch.images), batch.labels)


def fit(
    model: nn.Module,
    data: TrainingData,
    recipe: Recipe,
    order: torch.Generator,
    *,
    loss: Loss = cross_entropy,
    parameters: Iterable[nn.Parameter] | None = None,
    sampling: Tensor | None = None,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
) -> FitReport:
    """Train `model` in place by the recipe.

    loss: (model, batch) -> (). parameters: what the optimizer is given (default: all that require gradients).
    sampling: None (each example once an epoch), int64 indices into the training split with repeats (each entry
    once an epoch), or float weights (N,), drawn with replacement, N draws an epoch.
    after_epoch: called with (epoch from 1, model). Raises ComponentError where there is nothing to train.
    """
    device = data.train.labels.device
    chosen = [p for p in (parameters if parameters is not None else model.parameters()) if p.requires_grad]
    length = len(sampling) if sampling is not None else len(data.train)
    total_steps = step_count(data, recipe, sampling)
    if total_steps == 0:
        return FitReport(0, 0, ())
    if not chosen:
        raise ComponentError("nothing to train: every parameter that the optimizer is given is frozen")
    make = graph_maker(device)
    optimizer = _optimizer(chosen, recipe, _rate(device, recipe) if make is not None else None)
    plateau = _plateau(optimizer, recipe) if recipe.schedule == "plateau" else None
    rates = learning_rates(recipe, total_steps) if plateau is None else None
    precision = _precision(device, recipe)
    stepping = Stepping(model, data, loss, optimizer, chosen, rates, precision, recipe.channels_last)
    if recipe.channels_last:
        model.to(memory_format=torch.channels_last)
    steps = steps_of(stepping, total_steps, make, _say)
    examples = 0
    losses: list[float] = []
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        indices = _epoch(sampling, length, recipe.batch_size, order, device)
        losses.append(float(steps.epoch(indices)) / len(indices))
        examples += sum(map(len, indices))
        if plateau is not None:
            plateau.step(validation_loss(model, data))
        if after_epoch is not None:
            after_epoch(epoch, model)
    return FitReport(total_steps, examples, tuple(losses))


def step_count(data: TrainingData, recipe: Recipe, sampling: Tensor | None = None) -> int:
    """How many optimizer steps `fit` makes."""
    return recipe.epochs * _steps(len(sampling) if sampling is not None else len(data.train), recipe.batch_size)


def _steps(length: int, batch_size: int) -> int:
    """Batches an epoch. A last batch of one example is left out: batch norm cannot train on it."""
    full, rest = divmod(length, batch_size)
    return full + (rest > 1 or (rest == 1 and (full == 0 or batch_size == 1)))


def _epoch(
    sampling: Tensor | None, length: int, batch_size: int, order: torch.Generator, device: torch.device
) -> Sequence[Tensor]:
    """The indices of an epoch's batches."""
    if sampling is not None and sampling.is_floating_point():
        indices = torch.multinomial(sampling.cpu(), length, replacement=True, generator=order)
    else:
        indices = torch.randperm(length, generator=order)
        if sampling is not None:
            indices = sampling.cpu()[indices]
    batches = torch.split(indices.to(device), batch_size)
    return batches[: _steps(length, batch_size)]


def _precision(device: torch.device, recipe: Recipe) -> torch.autocast | None:
    """The context of every forward pass; None where there is nothing to switch: entering one costs its time."""
    wanted = recipe.precision == "bfloat16"
    if not wanted and not torch.is_autocast_enabled(device.type):
        return None
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def _say(why: str) -> None:
    print(f"training steps are made one operation after another, not captured: {why}", flush=True)


def _rate(device: torch.device, recipe: Recipe) -> Tensor | None:
    """The learning rate where a captured step can read it: float32 on a card, as its kernels want it."""
    if recipe.schedule == "plateau":
        return None
    return torch.full((), recipe.lr, dtype=torch.float32 if device.type == "cuda" else torch.float64, device=device)


def _optimizer(parameters: list[nn.Parameter], recipe: Recipe, rate: Tensor | None = None) -> torch.optim.Optimizer:
    """torch's own, fused. rate: the tensor that holds the learning rate; None: a number does."""
    lr = recipe.lr if rate is None else rate
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
            fused=True,
        )
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    on_card = rate is not None and rate.is_cuda
    return kind(parameters, lr, weight_decay=recipe.weight_decay, fused=True, capturable=on_card)


def _plateau(optimizer: torch.optim.Optimizer, recipe: Recipe) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
    kind = torch.optim.lr_scheduler.ReduceLROnPlateau
    return kind(optimizer, factor=recipe.drop_factor, patience=recipe.patience)


def snapshot(model: nn.Module) -> Snapshot:
    """A copy of a model's weights and buffers, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def logits(model: nn.Module, data: TrainingData, split: Split) -> Tensor:
    """A model's answers on a split in eval mode, float32 (N, K), on the CPU."""
    with evaluating(model):
        return torch.cat([model(batch.images).float() for batch in data.batches(split)]).cpu()


def validation_loss(model: nn.Module, data: TrainingData) -> float:
    """The mean cross-entropy of a model on the validation split, in eval mode."""
    return float(nn.functional.cross_entropy(logits(model, data, data.val), data.val.labels.cpu()))


def predicted_classes(model: nn.Module, data: TrainingData, split: Split) -> Tensor:
    """A model's answers on a split in eval mode, by example index: int64 (N,), on the split's device."""
    return logits(model, data, split).argmax(dim=1).to(split.labels.device)


def loss_gradients(
    model: nn.Module,
    data: TrainingData,
    generator: torch.Generator,
    weights: Mapping[str, nn.Parameter],
    batches: int,
) -> dict[str, Tensor]:
    """Gradients of the mean cross-entropy by parameter name, over random training batches of the recipe's size.

    batches: how many; 0 for the whole training split. The model is in training mode, as when it was trained; its
    batch-norm statistics move, so give a copy. Zero for a weight that is frozen, or that the loss does not depend on.
    """
    order = torch.randperm(len(data.train), generator=generator).to(data.train.labels.device)
    chosen = order[: batches * data.batch_size] if batches else order
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}  # also where no gradient comes
    moved = {name: weight for name, weight in weights.items() if weight.requires_grad}
    model.train()
    parts = list(torch.split(chosen, data.batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:  # batch norm cannot train on one example
        parts[-2:] = [torch.cat(parts[-2:])]
    with uncounted():
        for index in parts if moved else ():
            loss = cross_entropy(model, data.batch(data.train, index, augment=True))
            for name, part in zip(moved, _gradients(loss, list(moved.values())), strict=True):
                total[name] += part * (len(index) / len(chosen))
    return total


def _gradients(loss: Tensor, weights: list[nn.Parameter]) -> tuple[Tensor, ...]:
    """Gradients of a loss; zero of a weight that it does not depend on."""
    if not loss.requires_grad:
        return tuple(torch.zeros_like(weight) for weight in weights)
    return torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)


def worst_share(correct: Tensor, kinds: Tensor) -> float:
    """The lowest accuracy among the kinds (classes or groups) that occur; correct: bool (N,), kinds: int64 (N,)."""
    totals = torch.bincount(kinds)
    right = torch.bincount(kinds, weights=correct.double(), minlength=len(totals))
    return float((right / totals)[totals > 0].min())


def epoch_quality(correct: Tensor, kinds: Tensor, select: str) -> tuple[float, ...]:
    """The quality of an epoch on the validation split: of two epochs the better one has the larger tuple.

    correct: bool (N,). kinds: int64 (N,), the part of each example. The lowest accuracy of a part, and where it is the
    same the accuracy: in small parts the lowest is 0 for many epochs. REST's released rule
    (`val_conflicting_as_published`, train.py) puts the accuracy in the place of a lowest of 0: so an epoch that gets
    no conflicting example right may beat one that does.
    """
    worst, accuracy = worst_share(correct, kinds), float(correct.double().mean())
    return (worst or accuracy,) if select == "val_conflicting_as_published" else (worst, accuracy)


class EpochSelector:
    """Keeps the weights that the recipe asks for: single epochs, and the best by the validation split."""

    def __init__(self, recipe: Recipe, data: TrainingData, kinds: Tensor | None) -> None:
        self.recipe, self.data, self.kinds = recipe, data, kinds
        self.kept: dict[int, Snapshot] = {}
        self.best: tuple[tuple[float, ...], int, Snapshot] | None = None

    def after_epoch(self, epoch: int, model: nn.Module) -> None:
        """Note an epoch's weights if they are asked for; of equally good epochs the first is kept."""
        if epoch in self.recipe.keep_epochs:
            self.kept[epoch] = snapshot(model)
        if self.kinds is None:
            return
        val = self.data.val
        correct = logits(model, self.data, val).argmax(1) == val.labels.cpu()
        value = epoch_quality(correct, self.kinds, self.recipe.select)
        if self.best is None or value > self.best[0]:
            self.best = (value, epoch, snapshot(model))

    def finish(self, model: nn.Module) -> int | None:
        """Give the model the selected epoch's weights; which epoch that was (None: the last)."""
        if self.best is None:
            return None
        load_state(model, self.best[2])
        return self.best[1]


def eval_copy(model: nn.Module) -> nn.Module:
    """A frozen copy in eval mode."""
    return copy.deepcopy(model).eval().requires_grad_(False)
