"""The probed network: scored by neuron, modified, and compared with itself on one split."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from benchbias import Skip

from .examples import Loss, hard_examples, loss_slopes
from .neurons import Linear, Neuron, held, neuron_norms, restored, slice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from benchbias import Answers, Batch, Change, ProbeContext, Split

ByGroup: TypeAlias = "Mapping[int | None, Sequence[Neuron]]"  # neurons for the examples of each group, or for all: None
Ranking = Literal["magnitude", "gradient", "group gradient"]


@dataclass(frozen=True)
class Network:
    """A copy of the probed model, to modify, and what it answered before on the one split that all is measured on."""

    model: nn.Module
    weights: Mapping[str, nn.Parameter]
    context: ProbeContext
    before: Answers
    linear: Linear
    loss: Loss

    @staticmethod
    def of(
        model: nn.Module, context: ProbeContext, layers: Sequence[str], split: str, linear: Linear, loss: Loss
    ) -> Network:
        own = copy.deepcopy(model).requires_grad_(True)
        return Network(own, context.prunable(own, layers), context, context.answers(own, split), linear, loss)

    def scores(self, examples: tuple[str, Tensor] | None) -> dict[str, Tensor]:
        """Norms of the neurons' weights, or of their gradients on examples (B,) of a split."""
        if examples is None:
            return neuron_norms(self.weights, self.linear)
        name, index = examples
        split = self.context.data.splits[name].split
        slopes = loss_slopes(self.model, self.weights, lambda i: self.context.batch(split, i), index, self.loss)
        return neuron_norms(held(slopes, self.context.mask), self.linear)

    def changes(self, by_group: ByGroup, apply: Callable[[Tensor], object]) -> dict[str, Change]:
        """What modifying these neurons changes, each group under its own modification."""
        after = {group: self._with(neurons, apply) for group, neurons in by_group.items()}
        parts = {group: answers for group, answers in after.items() if group is not None}
        return self.before.changes(self.before.joined(parts) if parts else after[None])

    def _with(self, neurons: Sequence[Neuron], apply: Callable[[Tensor], object]) -> Answers:
        with restored({name: self.weights[name] for name, _ in neurons}):
            for name, number in neurons:
                apply(slice_of(self.weights[name], number, self.linear))
                self.weights[name].data.copy_(held({name: self.weights[name].data}, self.context.mask)[name])
            return self.context.answers(self.model, self.before.split)


def ranking_examples(
    ranking: Ranking, network: Network, split: str, worst: int | None, pool: int, batch: int
) -> dict[int | None, tuple[str, Tensor] | None]:
    """What each ranking's gradient is of: hard training examples, or each group's own of a split (its `worst` ones)."""
    context, data = network.context, network.context.data
    if ranking == "magnitude":
        return {None: None}
    if ranking == "gradient":
        train = data.splits["train"].split
        draw = functools.partial(context.batch, train)
        hard = hard_examples(network.model, draw, len(train), pool, batch, "hardest", context.generator, context.device)
        return {None: ("train", hard)}
    found: dict[int | None, tuple[str, Tensor] | None] = {}
    item = data.splits[split]
    for group in torch.unique(network.before.groups).tolist():
        index = torch.nonzero(item.groups.groups == group)[:, 0]
        if not len(index):
            raise Skip(f"group {item.groups.group_names[group]} has no example in {split}")
        if worst is not None:
            draw = functools.partial(_among, context, item.split, index)
            hard = hard_examples(
                network.model, draw, len(index), worst, worst, "hardest", context.generator, context.device
            )
            index = index[hard]
        found[group] = (split, index)
    return found


def _among(context: ProbeContext, split: Split, index: Tensor, at: Tensor) -> Batch:
    return context.batch(split, index[at])
