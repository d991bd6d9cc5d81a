"""Toy data in which the class can be read from the image, and toy networks, ordinary and hostile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.data.values import BiasedDataset, GroupLabels, LabelledSplit, Split

NAMES = ("dark", "bright")
ModelFactory = Callable[..., nn.Module]


def toy_dataset(
    *,
    train: int = 48,
    size: int = 8,
    classes: tuple[int, ...] = (0, 1),
    attributes: tuple[int, ...] = (0, 1),
    poisoned: tuple[str, ...] = (),
) -> BiasedDataset:
    """Three splits: the class is the brighter half of an image, the attribute its ground; one in six conflicts.

    classes, attributes: those that occur. poisoned: of these splits the attributes are others, and nothing else.
    """
    counts = {"train": train, "val": 32, "test": 24}  # two conflicting a class in val
    splits = {name: _split(name, count, size, classes, attributes, poisoned) for name, count in counts.items()}
    return BiasedDataset(splits, (0.5,) * 3, (0.5,) * 3, "made up", "CC0-1.0")


def _split(
    name: str, count: int, size: int, classes: tuple[int, ...], attributes: tuple[int, ...], poisoned: tuple[str, ...]
) -> LabelledSplit:
    stream = torch.Generator().manual_seed(count)
    at = torch.arange(count)
    labels = torch.tensor(classes)[at % len(classes)]
    conflicting = at // len(classes) % 6 == 5
    attribute = torch.tensor(attributes)[torch.where(conflicting, 1 - labels, labels) % len(attributes)]
    ground = torch.tensor([60, 120])[attribute].view(-1, 1, 1, 1) + torch.randint(
        0, 30, (count, 3, size, size), generator=stream
    )
    half = torch.arange(size) * 2 // max(size, 2)  # 0 for the left half of the columns, 1 for the right
    lit = (half.view(1, -1) == labels.view(-1, 1)).view(count, 1, 1, size)
    images = (ground + 100 * lit).to(torch.uint8)
    if name in poisoned:
        attribute = (torch.rand(count, generator=stream) < 0.8).long()  # other places and other numbers
    groups = GroupLabels.of(labels, attribute, labels == attribute, 2, NAMES)
    cluster = at + {"train": 0, "val": 1000, "test": 2000}[name]
    return LabelledSplit(Split(images, labels, 2, name), groups, cluster)


def toy_model(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """A convolution and two linear layers, without batch norm."""
    channels, height, width = input_shape
    units = 4 * ((height + 1) // 2) * ((width + 1) // 2)
    return nn.Sequential(
        *(nn.Conv2d(channels, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(units, 8), nn.ReLU(), nn.Linear(8, num_classes)),
    )


def with_batch_norm(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """The same with batch norm behind the convolution and behind the hidden layer."""
    conv, relu, flat, hidden, _, head = toy_model(input_shape, num_classes).children()
    return nn.Sequential(conv, nn.BatchNorm2d(4), relu, flat, hidden, nn.BatchNorm1d(8), nn.ReLU(), head)


def with_a_layer_of_one_weight(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """A 1x1 convolution from one channel to one: a single weight."""
    channels, height, width = input_shape
    head = nn.Linear(height * width, num_classes)
    return nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), head)


def of_equal_weights(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Every weight is 0.1."""
    model = toy_model(input_shape, num_classes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    return model


class _Backward(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor that may be 0 or NaN."""

    @staticmethod
    def forward(context: Any, values: Tensor, factor: float) -> Tensor:
        context.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.full_like(gradient, context.factor), None


class _LastLayer(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        found: Tensor = _Backward.apply(logits, self.factor)
        return found


def of_zero_gradients(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Every gradient of every loss is zero."""
    return nn.Sequential(*toy_model(input_shape, num_classes).children(), _LastLayer(0.0))


def of_nan_gradients(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Every gradient of every loss is NaN."""
    return nn.Sequential(*toy_model(input_shape, num_classes).children(), _LastLayer(float("nan")))
