"""A loose file in a folder with a blank: presets, a class that is a model factory, torchvision, other callables."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torchvision
from torch import nn

from benchbias import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from benchbias import PruneContext, TrainingData


def powered(
    model: nn.Module, data: TrainingData, context: PruneContext, *, power: float, floor: float = 0.0
) -> Mapping[str, Tensor]:
    """Score every weight by a power of its size."""
    return {name: w.detach().abs() ** power + floor for name, w in context.prunable(model).items()}


def logged(function: Callable[..., object]) -> Callable[..., object]:
    """A decorator as people write them."""

    @functools.wraps(function)
    def inner(*arguments: object, **options: object) -> object:
        return function(*arguments, **options)

    return inner


class Several:
    """Components that are methods."""

    @logged
    def method(self, model: nn.Module, data: TrainingData, context: PruneContext, *, power: float = 1.0) -> object:
        """Score every weight by a power of its size, as a method."""
        return powered(model, data, context, power=power)


class Small(nn.Module):
    """A network with one convolution: the class is the factory."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int, *, width: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(input_shape[0], width, 3, padding=1)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.conv(images).relu().mean(dim=(2, 3)))


def squeezed(input_shape: tuple[int, int, int], num_classes: int, *, groups: int = 1) -> nn.Module:
    """A network of torchvision's blocks."""
    block = torchvision.ops.Conv2dNormActivation(input_shape[0], 8, groups=groups)
    return nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))


@hookimpl
def benchbias_pruners():
    square = functools.partial(powered, power=2.0)
    return {"square": square, "raised": functools.partial(square, floor=0.5), "method": Several().method}


@hookimpl
def benchbias_models():
    return {"small_class": Small, "squeezed": squeezed}
