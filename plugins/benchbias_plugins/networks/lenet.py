"""A small LeNet-style network for images of 8 to 32 pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch import Tensor, nn

from benchbias import BenchbiasError, Range, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable


class LeNetSmall(nn.Module):
    """Two 5x5 convolutions with pooling, then three linear layers (39,862 parameters on 3x8x8, two classes)."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        channels, height, columns = input_shape
        first, second, third, fourth = (max(1, round(width * units)) for units in (16, 32, 120, 84))
        self.conv1 = nn.Conv2d(channels, first, 5, padding=2)
        self.conv2 = nn.Conv2d(first, second, 5, padding=2)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        self.fc1 = nn.Linear(second * (height // 4) * (columns // 4), third)
        self.fc2 = nn.Linear(third, fourth)
        self.fc3 = nn.Linear(fourth, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> logits (B, K)."""
        maps = self.pool(self.relu(self.conv1(images)))  # (B, 16 width, H/2, W/2)
        maps = self.pool(self.relu(self.conv2(maps)))  # (B, 32 width, H/4, W/4)
        units = self.relu(self.fc1(maps.flatten(1)))
        logits: Tensor = self.fc3(self.relu(self.fc2(units)))
        return logits


def lenet_small(
    input_shape: tuple[int, int, int], num_classes: int, *, width: Annotated[float, Range(0.05, 8, log=True)] = 1.0
) -> nn.Module:
    """A small LeNet; `width` multiplies the channels and units of all hidden layers (16, 32, 120, 84).

    Images have at least 4x4 pixels: it halves them twice.
    """
    if min(input_shape[1:]) < 4:
        raise BenchbiasError(f"lenet_small halves images twice: {input_shape[1]}x{input_shape[2]} pixels are too few")
    return LeNetSmall(input_shape, num_classes, width)


@hookimpl
def benchbias_models() -> dict[str, Callable[..., nn.Module]]:
    return {"lenet_small": lenet_small}
