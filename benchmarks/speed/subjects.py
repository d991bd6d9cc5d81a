"""Networks and invented images that several parts time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchbias.data.values import Split, TrainingData
from benchbias_plugins.networks.lenet import lenet_small
from benchbias_plugins.networks.literature.resnet import resnet18, resnet50
from benchbias_plugins.networks.small_networks import lenet, simple_cnn


@dataclass(frozen=True)
class Subject:
    """A network on images of one shape. steps, epochs: of one timed call; batch: images a step."""

    name: str
    shape: tuple[int, int, int]
    classes: int
    batch: int
    steps: int
    epochs: int

    def network(self) -> nn.Module:
        """The network with the same weights every time."""
        torch.manual_seed(0)
        makers = {"lenet_small": lenet_small, "LeNet": lenet, "SimpleCNN": simple_cnn}
        makers |= {"ResNet-18": untrained(resnet18), "ResNet-50": untrained(resnet50)}
        made: nn.Module = makers[self.name](self.shape, self.classes)
        return made

    def data(self) -> TrainingData:
        """Random images and labels: `steps` whole batches."""
        generator = torch.Generator().manual_seed(0)
        count = self.batch * self.steps
        images = torch.randint(0, 256, (count, *self.shape), dtype=torch.uint8, generator=generator)
        split = Split(images, torch.randint(0, self.classes, (count,), generator=generator), self.classes, "train")
        return TrainingData(split, split, (0.5,) * 3, (1.0,) * 3, self.batch)

    @property
    def title(self) -> str:
        return f"{self.name} {self.shape[1]}x{self.shape[2]}"


def untrained(network: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A network that could read weights from a data folder, and reads none."""
    return lambda shape, classes: network(shape, classes, Path())


def prepare_torch() -> None:
    """Be as a stage's process is."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
