"""The small networks of the MNIST studies: SpuCo's LeNet, REST's simple CNN, DisEnt's multi-layer perceptron."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from torch import Tensor, nn

from benchbias import BenchbiasError, Range, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

Width = Annotated[float, Range(0.05, 8, log=True)]


class LeNet(nn.Module):
    """Two 5x5 convolutions with pooling, two linear layers, a classifier: 61,350 weights on 3x28x28, five classes."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        channels, height, columns = input_shape
        first, second, third, fourth = (max(1, round(width * units)) for units in (6, 16, 120, 84))
        self.conv1 = nn.Conv2d(channels, first, 5, padding=2)
        self.conv2 = nn.Conv2d(first, second, 5)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        self.fc1 = nn.Linear(second * ((height // 2 - 4) // 2) * ((columns // 2 - 4) // 2), third)
        self.fc2 = nn.Linear(third, fourth)
        self.classifier = nn.Linear(fourth, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> logits (B, K)."""
        maps = self.pool(self.relu(self.conv1(images)))  # (B, 6, H/2, W/2)
        maps = self.pool(self.relu(self.conv2(maps)))  # (B, 16, H/4 - 2, W/4 - 2)
        units = self.relu(self.fc1(maps.flatten(1)))
        logits: Tensor = self.classifier(self.relu(self.fc2(units)))
        return logits


class SimpleCNN(nn.Module):
    """Three convolutions without bias, batch norm, global average pooling, a linear layer."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        widths = (input_shape[0], *(max(1, round(width * units)) for units in (64, 128, 256)))
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        ]
        self.features = nn.Sequential(*blocks)
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> logits (B, K)."""
        logits: Tensor = self.fc(self.features(images).mean(dim=(2, 3)))
        return logits


def lenet(input_shape: tuple[int, int, int], num_classes: int, *, width: Width = 1.0) -> nn.Module:
    """SpuCo's LeNet (Joshi et al., 2023); `width` multiplies its channels and units (6, 16, 120, 84).

    Images have at least 12x12 pixels.
    """
    if min(input_shape[1:]) < 12:
        raise BenchbiasError(f"lenet needs 12x12 pixels or more, not {input_shape[1]}x{input_shape[2]}")
    return LeNet(input_shape, num_classes, width)


def simple_cnn(input_shape: tuple[int, int, int], num_classes: int, *, width: Width = 1.0) -> nn.Module:
    """REST's network for Colored MNIST (Zhao et al., 2023): 660,992 weights; `width` multiplies 64, 128, 256.

    Images have at least 8x8 pixels: it halves them three times.
    """
    if min(input_shape[1:]) < 8:
        raise BenchbiasError(f"simple_cnn halves images three times: {input_shape[1]}x{input_shape[2]} are too few")
    return SimpleCNN(input_shape, num_classes, width)


def mlp(input_shape: tuple[int, int, int], num_classes: int, *, width: Width = 1.0) -> nn.Module:
    """DisEnt's network for Colored MNIST (Lee et al., 2021): linear layers to 100, 100, 16 units with ReLU, a head.

    `width` multiplies the units.
    """
    channels, height, columns = input_shape
    widths = (channels * height * columns, *(max(1, round(width * units)) for units in (100, 100, 16)))
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_classes))


@hookimpl
def benchbias_models() -> dict[str, Callable[..., nn.Module]]:
    return {"lenet": lenet, "mlp": mlp, "simple_cnn": simple_cnn}
