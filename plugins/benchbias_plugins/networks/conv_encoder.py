"""The contrastive study's encoder: three convolutions with batch norm, and a linear head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch import Tensor, nn

from benchbias import BenchbiasError, Range, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable


class ConvEncoder(nn.Module):
    """Three blocks of 3x3 convolution, batch norm, ReLU, 2x2 pooling (the third padded) and dropout; a linear head."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int, width: float, dropout: float) -> None:
        super().__init__()
        channels, height, columns = input_shape
        first, second, third = (max(1, round(width * units)) for units in (32, 64, 128))
        self.conv1, self.norm1 = nn.Conv2d(channels, first, 3, padding=1), nn.BatchNorm2d(first)
        self.conv2, self.norm2 = nn.Conv2d(first, second, 3, padding=1), nn.BatchNorm2d(second)
        self.conv3, self.norm3 = nn.Conv2d(second, third, 3, padding=1), nn.BatchNorm2d(third)
        self.relu, self.dropout = nn.ReLU(), nn.Dropout(dropout)
        self.pool, self.padded_pool = nn.MaxPool2d(2), nn.MaxPool2d(2, padding=1)
        self.head = nn.Linear(third * (height // 4 // 2 + 1) * (columns // 4 // 2 + 1), num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> logits (B, K)."""
        maps = self.dropout(self.pool(self.relu(self.norm1(self.conv1(images)))))  # (B, 32 width, H/2, W/2)
        maps = self.dropout(self.pool(self.relu(self.norm2(self.conv2(maps)))))  # (B, 64 width, H/4, W/4)
        maps = self.dropout(self.padded_pool(self.relu(self.norm3(self.conv3(maps)))))  # (B, 128 width, ~H/8 + 1, ...)
        logits: Tensor = self.head(maps.flatten(1))
        return logits


def conv_encoder(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: Annotated[float, Range(0.05, 8, log=True)] = 1.0,
    dropout: Annotated[float, Range(0, 0.9)] = 0.2,
) -> nn.Module:
    """Three convolution blocks with batch norm and a linear head; `width` multiplies their channels (32, 64, 128).

    "Effect of Neural Network Pruning on Spurious Correlation", contrastive part: 2,048 features of a 28x28 image.
    Images have at least 4x4 pixels.
    """
    if min(input_shape[1:]) < 4:
        raise BenchbiasError(f"conv_encoder halves images twice: {input_shape[1]}x{input_shape[2]} pixels are too few")
    return ConvEncoder(input_shape, num_classes, width, dropout)


@hookimpl
def benchbias_models() -> dict[str, Callable[..., nn.Module]]:
    return {"conv_encoder": conv_encoder}
