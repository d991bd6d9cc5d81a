"""The probed network: scored by neuron, modified, and compared with itself on one split."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ...methods.critical_neurons.examples import Loss, gradient_norms
from ...methods.critical_neurons.neurons import Linear, Neuron, held, neuron_norms, restored, slice_of
from ...methods.critical_neurons.ranking import Reranked, Scope, ranked, reranked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from benchbias import Answers, Change, ProbeContext

ByGroup: TypeAlias = "Mapping[int | None, Sequence[Neuron]]"  # neurons for the examples of each group, or for all: None
Examples: TypeAlias = "tuple[str, Tensor]"  # a split, and indices (B,) in it


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

    def scores(self, examples: Examples | None) -> dict[str, Tensor]:
        """Norms of the neurons' weights, or of their gradients on examples of a split."""
        if examples is None:
            return neuron_norms(self.weights, self.linear)
        name, index = examples
        batch = functools.partial(self.context.batch, self.context.data.splits[name].split)
        return gradient_norms(
            self.model, self.weights, batch, index, loss=self.loss, linear=self.linear, mask=self.context.mask
        )

    def most_critical(
        self, examples: Mapping[int | None, Examples | None], count: int, scope: Scope, order: Reranked
    ) -> dict[int | None, list[Neuron]]:
        """The first `count` neurons of each group's ranking, or of the one for all; in each layer by its own scores."""
        found = {}
        for group, chosen in examples.items():
            score = functools.partial(self.scores, chosen)
            if order == "reranked":
                found[group] = reranked(self.weights, score, count, scope=scope, linear=self.linear)
            else:
                found[group] = ranked(score(), count, scope=scope, order=order)
        return found

    def changes(self, by_group: ByGroup, apply: Callable[[Tensor], object]) -> dict[str, Change]:
        """Modify these neurons and compare the answers with those before, each group under its own modification."""
        after = {group: self._with(neurons, apply) for group, neurons in by_group.items()}
        parts = {group: answers for group, answers in after.items() if group is not None}
        return self.before.changes(self.before.joined(parts) if parts else after[None])

    def _with(self, neurons: Sequence[Neuron], apply: Callable[[Tensor], object]) -> Answers:
        with restored({name: self.weights[name] for name, _ in neurons}):
            for name, number in neurons:
                apply(slice_of(self.weights[name], number, self.linear))
                self.weights[name].data.copy_(held({name: self.weights[name].data}, self.context.mask)[name])
            return self.context.answers(self.model, self.before.split)
