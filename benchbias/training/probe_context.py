"""The context of a probe: it measures, and hands nothing on but its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchbias.data.values import Batch, BiasedDataset, Split, TrainingData
from benchbias.errors import ComponentError, unknown
from benchbias.network.inspect import head_name
from benchbias.sparse.masks import Mask
from benchbias.training.changes import Answers
from benchbias.training.context import prunable_weights
from benchbias.training.fit import logits

if TYPE_CHECKING:
    from benchbias.suite.tables import Recipe

BATCH = 256  # of predictions; larger ones are slower on a CPU


@dataclass(frozen=True, kw_only=True)
class ProbeContext:
    """Everything that a probe, a measurement of one trained model, is given besides the model and the data.

    Nothing of it reaches training: there is no `save`, and its only product is its table. device: where model and
    data are. generator: the probe's own random numbers; draw from no other. recipe: of the train stage that made the
    model. trained_epochs: after how many epochs of that stage the model's weights are. mask: the mask in force, or
    None. checkpoints: the models of the kept epochs, which `checkpoint` gives.
    """

    device: torch.device
    generator: torch.Generator
    recipe: Recipe
    trained_epochs: int
    data: BiasedDataset
    mask: Mask | None = None
    checkpoints: Mapping[int, Callable[[], nn.Module]] = field(default_factory=dict)

    @property
    def _batches(self) -> TrainingData:
        train, val = (self.data.splits[name].split for name in ("train", "val"))
        return TrainingData(train, val, self.data.mean, self.data.std, BATCH)

    def batch(self, split: Split, index: Tensor) -> Batch:
        """The examples `index` (B,) of a split, normalised, not augmented."""
        return self._batches.batch(split, index)

    def logits(self, model: nn.Module, split: Split) -> Tensor:
        """A model's answers on a split in eval mode, float32 (N, K), on the CPU."""
        return logits(model, self._batches, split)

    def answers(self, model: nn.Module, split: str) -> Answers:
        """A model's answers on a split: right or wrong, and by what margin. Raises ComponentError."""
        if split not in self.data.splits:
            raise ComponentError(unknown("split", split, self.data.splits))
        item = self.data.splits[split]
        return Answers.of(self.logits(model, item.split), item)

    def prunable(self, model: nn.Module, layers: Sequence[str] = ()) -> dict[str, nn.Parameter]:
        """Convolution and linear weights by parameter name, those that `layers` admits: as in a prune stage."""
        return prunable_weights(model, layers, self._batches.sample)

    def head(self, model: nn.Module) -> nn.Module:
        """The layer that makes the logits."""
        return model.get_submodule(head_name(model, self._batches.sample))

    def checkpoint(self, epoch: int) -> nn.Module:
        """The model after an epoch of the stage that made it, in eval mode and under the mask in force.

        Epoch 0 is what the stage began from; others are those that `keep_epochs` of the recipe names. Raises
        ComponentError.
        """
        if epoch not in self.checkpoints:
            known = ", ".join(map(str, sorted(self.checkpoints))) or "none"
            raise ComponentError(f"epoch {epoch} was not kept (known: {known}); see `keep_epochs`")
        return self.checkpoints[epoch]()
