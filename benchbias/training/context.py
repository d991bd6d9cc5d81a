"""Contexts: everything that a trainer and a pruner work with besides the model and the data."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from benchbias.data.values import Split, TrainingData
from benchbias.errors import ComponentError
from benchbias.network.counting import uncounted
from benchbias.network.inspect import evaluating, head_name
from benchbias.network.weights import LayerWeight, layer_weights
from benchbias.sparse.copies import shapes
from benchbias.sparse.cutting import Budget, budget_counts, budget_densities
from benchbias.sparse.holding import Holder
from benchbias.sparse.masks import Mask
from benchbias.training.fit import FitReport, cross_entropy, fit, step_count
from benchbias.training.losses import weighted_cross_entropy
from benchbias.training.population import Member
from benchbias.training.stepping import Loss

if TYPE_CHECKING:
    from benchbias.suite.tables import Recipe

OF_AMOUNT = frozenset(
    {"density", "counts", "amount", "layer_counts", "layer_densities", "_given"}
    | {"__dict__", "__getstate__", "__reduce__", "__reduce_ex__"}  # by which all fields are read
)
"""Attributes of a PruneContext by which a pruner learns how much its stage removes."""

HEAD = "head"  # in `layers`: the layer that makes the logits


def prunable_weights(model: nn.Module, layers: Sequence[str], images: Tensor) -> dict[str, nn.Parameter]:
    """The weights of layers (`layer_weights`) by parameter name, those that `layers` admits; a tied one once.

    layers: globs of layer names; `!` in front excludes; `head` stands for the layer that makes the logits. Empty,
    or only exclusions, starts from all. Raises ComponentError where a glob fits no layer, or where none is left.
    """
    weights = layer_weights(model)
    patterns = [(not item.startswith("!"), item.removeprefix("!")) for item in layers]
    chosen = set() if any(include for include, _ in patterns) else set(weights)
    for include, pattern in patterns:
        glob = head_name(model, images) if pattern == HEAD else pattern
        found = {name for name, w in weights.items() if any(fnmatch.fnmatchcase(one, glob) for one in w.layers)}
        if not found:
            raise ComponentError(
                f"layers: {pattern!r} fits no layer of the model (known: {', '.join(_layers(weights))}, head)"
            )
        chosen = chosen | found if include else chosen - found
    if patterns and not chosen:
        raise ComponentError(
            f"layers: {', '.join(map(repr, layers))} leaves no layer (known: {', '.join(_layers(weights))}, head)"
        )
    return {name: weight.parameter for name, weight in weights.items() if name in chosen}


def _layers(weights: Mapping[str, LayerWeight]) -> list[str]:
    return list(dict.fromkeys(layer for weight in weights.values() for layer in weight.layers))


def train_alone(member: Member) -> FitReport:
    """Train a network by `fit`, as all are that have no mates."""
    return fit(**member.arguments)


@dataclass(frozen=True, kw_only=True)
class Context:
    """The part that trainers and pruners share.

    device: where model and data are. generator: the method's own random numbers; draw from no other.
    recipe: how this stage trains. mask: the mask in force, or None. auxiliary_mask: a mask made by an earlier
    stage with `mask = "auxiliary"`, not in force. train: by what `fit` trains.
    """

    device: torch.device
    generator: torch.Generator
    recipe: Recipe
    data: TrainingData
    order: torch.Generator
    layers: Sequence[str] = ()
    mask: Mask | None = None
    auxiliary_mask: Mask | None = None
    earlier: Mapping[str, Tensor] = field(default_factory=dict)
    written: dict[str, Tensor] = field(default_factory=dict)
    reports: list[FitReport] = field(default_factory=list)
    holder: Holder | None = None
    after_epoch: Callable[[int, nn.Module], None] | None = None
    heads: WeakKeyDictionary[nn.Module, str] = field(default_factory=WeakKeyDictionary)
    train: Callable[[Member], FitReport] = train_alone

    def prunable(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The weights that can be pruned, by parameter name: those that the stage's `layers` admits."""
        return prunable_weights(model, self.layers, self.data.sample)

    def head(self, model: nn.Module) -> nn.Module:
        """The layer that makes the logits: the last nn.Linear called, or the one the model names `head_name`."""
        if model not in self.heads:  # it takes a forward pass to find, and is asked for in every training step
            self.heads[model] = head_name(model, self.data.sample)
        return model.get_submodule(self.heads[model])

    def features(self, model: nn.Module, images: Tensor) -> Tensor:
        """The features that go into the head, float (B, D), for images (B, C, H, W); gradients flow."""
        seen: list[Tensor] = []

        def watch(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            seen.append((*args, *kwargs.values())[0])

        handle = self.head(model).register_forward_pre_hook(watch, with_kwargs=True)
        try:
            model(images)
        finally:
            handle.remove()
        return seen[-1]

    def split_features(self, model: nn.Module, split: Split) -> Tensor:
        """The features of a whole split in eval mode and without gradients: float32 (N, D), on the CPU."""
        with evaluating(model):
            found = [self.features(model, batch.images).float().cpu() for batch in self.data.batches(split)]
        return torch.cat(found)

    def fit(
        self,
        model: nn.Module,
        data: TrainingData,
        *,
        loss: Loss | None = None,
        parameters: Iterable[nn.Parameter] | None = None,
        sampling: Tensor | None = None,
        after_epoch: Callable[[int, nn.Module], None] | None = None,
    ) -> None:
        """Train by the recipe: the only training loop. See `benchbias.training.fit.fit` for the arguments."""

        def both(epoch: int, model: nn.Module) -> None:
            for call in (self.after_epoch, after_epoch):
                if call is not None:
                    call(epoch, model)

        if self.holder is not None:
            self.holder.begin(step_count(data, self.recipe, sampling))
        with uncounted():  # its cost is told by its steps
            report = self.train(
                Member(
                    model,
                    data,
                    self.recipe,
                    self.order,
                    loss=loss or cross_entropy,
                    parameters=None if parameters is None else list(parameters),
                    sampling=sampling,
                    after_epoch=both,
                    holder=self.holder,
                )
            )
        self.reports.append(report)

    def fit_weighted(
        self, model: nn.Module, data: TrainingData, weights: Tensor, weighting: Literal["loss", "sampling"]
    ) -> None:
        """Train with a weight for each training example, float (N,): of its loss, or of its being drawn.

        `loss`: see `benchbias.weighted_cross_entropy`. `sampling`: N draws with replacement an epoch.
        """
        if weighting == "loss":
            self.fit(model, data, loss=weighted_cross_entropy(weights))
        else:
            self.fit(model, data, sampling=weights)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Put all random streams back at the end of the block: the next one sees the same batches and draws."""
        streams = {stream: stream.get_state() for stream in (self.generator, self.order, self.data.augment_generator)}
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            yield
        for stream, state in streams.items():
            stream.set_state(state)

    def save(self, name: str, tensor: Tensor) -> None:
        """Keep a tensor with the stage's product, for a later stage of the trial."""
        self.written[name] = tensor.detach().cpu()

    def saved(self, name: str) -> Tensor:
        """A tensor that an earlier stage of the trial saved. Raises ComponentError with the known names."""
        if name not in self.earlier:
            known = ", ".join(sorted(self.earlier)) or "none"
            raise ComponentError(f"no earlier stage saved {name!r} (known: {known})")
        return self.earlier[name].to(self.device)


@dataclass(frozen=True, kw_only=True)
class TrainContext(Context):
    """Everything that a trainer is given besides the model, the data and group labels.

    reference: the model of the stage before, frozen and in eval mode, or None. checkpoints: the models of the epochs
    that the stage before kept (`keep_epochs`), which `checkpoint` gives.
    """

    reference: nn.Module | None = None
    checkpoints: Mapping[int, Callable[[], nn.Module]] = field(default_factory=dict)

    def checkpoint(self, epoch: int) -> nn.Module:
        """The stage before's model after an epoch that its recipe's `keep_epochs` names. Raises ComponentError."""
        if epoch not in self.checkpoints:
            known = ", ".join(map(str, sorted(self.checkpoints))) or "none"
            raise ComponentError(f"epoch {epoch} was not kept (known: {known}); see `keep_epochs`")
        return self.checkpoints[epoch]()


@dataclass(frozen=True, kw_only=True)
class PruneContext(Context):
    """Everything that a pruner is given besides the model, the data and group labels.

    density: the fraction of the prunable weights to keep, or None where none is set. budget: how the stage shares the
    weights to keep out over the layers. counts: kept weights a tensor, where the budget is uniform or erk; None for a
    global one, which only the scores decide. Inside a train stage: step, total_steps: of the optimizer; progress: the
    fraction of the time of updates (`until`) that has gone, 0 to 1; mask: the current one, None before the first
    step; gradient_reads: the steps at which the pruner read `gradients`. amount_reads: the attributes that it read
    and that tell how much the stage removes: without one, its answer holds for all levels of a sweep.
    """

    density: float | None = None
    counts: Mapping[str, int] | None = None
    step: int = 0
    total_steps: int = 0
    progress: float = 0.0
    dense_gradients: Mapping[str, Tensor] | None = None
    gradient_reads: list[int] = field(default_factory=list)
    amount: Mapping[str, float] = field(default_factory=dict)
    budget: Budget = "global"
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    amount_reads: list[str] = field(default_factory=list)

    def __getattribute__(self, name: str) -> Any:
        if name in OF_AMOUNT:
            super().__getattribute__("__dict__").get("amount_reads", []).append(name)  # a copy in the making has none
        return super().__getattribute__(name)

    @property
    def gradients(self) -> Mapping[str, Tensor]:
        """The dense gradients of this training step, by parameter name. Raises ComponentError outside training.

        Reading them is counted: such a step costs a dense weight gradient.
        """
        if self.dense_gradients is None:
            raise ComponentError("there are no gradients here: only a pruner inside a train stage, after step 0, has")
        self.gradient_reads.append(self.step)
        return self.dense_gradients

    @property
    def read_gradients(self) -> bool:
        """Whether the pruner has read the dense gradients."""
        return bool(self.gradient_reads)

    def current_masks(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mask in force for each of these weights, bool of its shape, on its device; all of it where there is none.

        weights: as `prunable` gives them.
        """
        masks = self.mask.tensors if self.mask is not None else {}
        return {
            name: masks.get(name, torch.ones_like(weight, dtype=torch.bool)).to(weight.device)
            for name, weight in weights.items()
        }

    def cosine(self, start: float, *, final: float = 0.0, gone: float | None = None) -> float:
        """A rate that falls from `start` to `final` by a cosine over the time of updates (RigL, Algorithm 1).

        gone: the fraction of the time that has gone, 0 to 1 (default: `progress`).
        """
        passed = self.progress if gone is None else gone
        return final + (start - final) / 2 * (1 + math.cos(math.pi * passed))

    @property
    def layer_counts(self) -> Mapping[str, int]:
        """Kept weights a tensor: `counts`, or those of ERK where the budget is global (which only scores decide)."""
        return self.counts if self.counts is not None else budget_counts(shapes(self.weights), self._given, "erk")

    @property
    def layer_densities(self) -> Mapping[str, float]:
        """The density of each tensor before it is rounded to `layer_counts`."""
        return budget_densities(shapes(self.weights), self._given, "erk" if self.budget == "global" else self.budget)

    @property
    def _given(self) -> Mapping[str, float]:
        if not self.amount:
            raise ComponentError("the stage must set sparsity or density")
        return self.amount
