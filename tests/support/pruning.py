"""A small network with data, and what the score-based pruners make of it."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias.data.values import Split, TrainingData
from benchbias.sparse.masks import Mask
from benchbias.stages.make_mask import make_mask, prune_context
from benchbias.suite.tables import Recipe
from benchbias.training.context import PruneContext

COUNT = 50


def source() -> TrainingData:
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (COUNT, 3, 8, 8), generator=stream, dtype=torch.uint8)
    train = Split(images, torch.arange(COUNT) % 2, 2, "train")
    return TrainingData(train, train, (0.5,) * 3, (1.0,) * 3, 16)


def network(*, norm: bool = True) -> nn.Sequential:
    """Four layers with biases, two batch norms; moved statistics, so that nothing is at its default."""
    torch.manual_seed(1)
    net = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4) if norm else nn.Identity(), nn.ReLU()),
        *(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5) if norm else nn.Identity(), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(80, 7), nn.ReLU(), nn.Linear(7, 2)),
    )
    if norm:
        net(torch.randn(9, 3, 8, 8))
    return net


LAYERS = ["0.weight", "3.weight", "7.weight", "9.weight"]


def context(layers: tuple[str, ...] = (), seed: int = 4, mask: Mask | None = None) -> PruneContext:
    return PruneContext(
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(seed),
        recipe=Recipe(batch_size=16),
        data=source(),
        order=torch.Generator(),
        layers=layers,
        mask=mask,
    )


def cut_mask(
    name: str,
    call: Callable[[nn.Module, PruneContext], Any],
    net: nn.Module,
    asked: PruneContext,
    amount: Mapping[str, float],
    budget: str = "global",
) -> Mask:
    """The mask that a stage makes of a pruner's answer; `asked` is built anew with the stage's amount and budget."""
    common = {
        field.name: getattr(asked, field.name)
        for field in dataclasses.fields(asked)
        if field.name not in ("data", "layers", "density", "counts", "amount", "weights", "budget")
    }
    cutting = {"layers": asked.layers, "budget": budget}
    return make_mask(name, call, net, prune_context(net, asked.data, cutting, amount, **common))


def kept(mask: Mask) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in mask.tensors.values()])


def same(one: Mask, other: Mask) -> bool:
    return list(one.tensors) == list(other.tensors) and torch.equal(kept(one), kept(other))


def gone(total: int, sparsity: float) -> int:
    return math.floor(Decimal(str(sparsity)) * total)


def by_hand(net: nn.Module, index: Tensor) -> dict[str, Tensor]:
    """The gradient of the mean cross-entropy of these examples, with the network in training mode."""
    data = source()
    net = copy.deepcopy(net).train()
    batch = data.batch(data.train, index)
    cross_entropy(net(batch.images), batch.labels).backward()
    return {name: dict(net.named_parameters())[name].grad for name in LAYERS}


def first(examples: int) -> Tensor:
    """The examples that the context's generator draws."""
    return torch.randperm(COUNT, generator=torch.Generator().manual_seed(4))[:examples]
