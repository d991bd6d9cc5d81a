"""Networks for 32x32 images: the ResNets of He et al. (CVPR 2016, section 4.2) and a wide ResNet."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn
from torch.nn.functional import pad

from benchbias import Range

Width = Annotated[float, Range(0.05, 8, log=True)]
Shortcut = Literal["A", "B"]


class PaddedShortcut(nn.Module):
    """Option A: every second pixel, and channels of zeros around those that are there. It has no weights."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        before = (outside - inside) // 2
        self.channels = (before, outside - inside - before)

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, H, W) -> (B, D, ceil(H/2), ceil(W/2))."""
        return pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, *self.channels))


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them."""

    def __init__(self, inside: int, outside: int, stride: int, option: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 and option == "A":
            self.shortcut = PaddedShortcut(inside, outside)
        elif stride > 1:
            projection = nn.Conv2d(inside, outside, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outside))

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, H, W) -> (B, D, H / stride, W / stride)."""
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps)))))
        made: Tensor = self.relu(inner + self.shortcut(maps))
        return made


class CifarResNet(nn.Module):
    """A 3x3 convolution, three groups of n blocks with 16, 32 and 64 channels, average pooling, a linear layer."""

    def __init__(self, channels: int, num_classes: int, depth: int, width: float, option: Shortcut) -> None:
        super().__init__()
        first, second, third = (max(1, round(width * units)) for units in (16, 32, 64))
        self.conv1 = nn.Conv2d(channels, first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU()
        self.layer1 = _blocks(first, first, 1, depth, option)
        self.layer2 = _blocks(first, second, 2, depth, option)
        self.layer3 = _blocks(second, third, 2, depth, option)
        self.fc = nn.Linear(third, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> logits (B, K)."""
        maps = self.relu(self.bn1(self.conv1(images)))  # (B, 16 width, H, W)
        maps = self.layer3(self.layer2(self.layer1(maps)))  # (B, 64 width, H/4, W/4)
        logits: Tensor = self.fc(maps.mean(dim=(2, 3)))
        return logits


def _blocks(inside: int, outside: int, stride: int, depth: int, option: Shortcut) -> nn.Sequential:
    later = (Block(outside, outside, 1, option) for _ in range(depth - 1))
    return nn.Sequential(Block(inside, outside, stride, option), *later)


def resnet20(
    input_shape: tuple[int, int, int], num_classes: int, *, shortcut: Shortcut = "A", width: Width = 1.0
) -> nn.Module:
    """He et al.'s ResNet-20 for CIFAR: 269,722 parameters with ten classes.

    shortcut: where the size changes, `A` takes every second pixel and adds channels of zeros, as the paper on CIFAR
    and ShrinkBench do; `B` is a 1x1 convolution with batch norm. width: multiplies the channels (16, 32, 64).
    """
    return CifarResNet(input_shape[0], num_classes, 3, width, shortcut)


def resnet32(
    input_shape: tuple[int, int, int], num_classes: int, *, shortcut: Shortcut = "A", width: Width = 1.0
) -> nn.Module:
    """He et al.'s ResNet-32 for CIFAR: 464,154 parameters with ten classes; options as for `resnet20`."""
    return CifarResNet(input_shape[0], num_classes, 5, width, shortcut)


def resnet44(
    input_shape: tuple[int, int, int], num_classes: int, *, shortcut: Shortcut = "A", width: Width = 1.0
) -> nn.Module:
    """He et al.'s ResNet-44 for CIFAR: 658,586 parameters with ten classes; options as for `resnet20`."""
    return CifarResNet(input_shape[0], num_classes, 7, width, shortcut)


def resnet56(
    input_shape: tuple[int, int, int], num_classes: int, *, shortcut: Shortcut = "A", width: Width = 1.0
) -> nn.Module:
    """He et al.'s ResNet-56 for CIFAR: 853,018 parameters with ten classes; options as for `resnet20`."""
    return CifarResNet(input_shape[0], num_classes, 9, width, shortcut)


def resnet110(
    input_shape: tuple[int, int, int], num_classes: int, *, shortcut: Shortcut = "A", width: Width = 1.0
) -> nn.Module:
    """He et al.'s ResNet-110 for CIFAR: 1,727,962 parameters with ten classes; options as for `resnet20`."""
    return CifarResNet(input_shape[0], num_classes, 18, width, shortcut)


class WideBlock(nn.Module):
    """Batch norm and ReLU before each of two 3x3 convolutions, dropout between them; a 1x1 shortcut if channels change.

    The shortcut starts after the first batch norm and ReLU, as in both released codes.
    """

    def __init__(self, inside: int, outside: int, stride: int, dropout: float, projected: bool) -> None:
        super().__init__()
        self.bn1, self.relu = nn.BatchNorm2d(inside), nn.ReLU()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn2, self.dropout = nn.BatchNorm2d(outside), nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inside, outside, 1, stride=stride, bias=False) if projected else None

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, H, W) -> (B, D, H / stride, W / stride)."""
        active = self.relu(self.bn1(maps))
        inner: Tensor = self.conv2(self.dropout(self.relu(self.bn2(self.conv1(active)))))
        return inner + (maps if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """A 3x3 convolution to 16 channels, three groups of blocks (16 k, 32 k and 64 k), batch norm, pooling, a head."""

    def __init__(self, channels: int, num_classes: int, depth: int, factor: int, width: float, dropout: float) -> None:
        super().__init__()
        units = (16, 16 * factor, 32 * factor, 64 * factor)
        first, second, third, fourth = (max(1, round(width * count)) for count in units)
        self.conv1 = nn.Conv2d(channels, first, 3, padding=1, bias=False)
        self.layer1 = _wide_blocks(first, second, 1, depth, dropout)
        self.layer2 = _wide_blocks(second, third, 2, depth, dropout)
        self.layer3 = _wide_blocks(third, fourth, 2, depth, dropout)
        self.bn, self.relu = nn.BatchNorm2d(fourth), nn.ReLU()
        self.fc = nn.Linear(fourth, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> logits (B, K)."""
        maps = self.layer3(self.layer2(self.layer1(self.conv1(images))))  # (B, 64 k, H/4, W/4)
        logits: Tensor = self.fc(self.relu(self.bn(maps)).mean(dim=(2, 3)))
        return logits


def _wide_blocks(inside: int, outside: int, stride: int, depth: int, dropout: float) -> nn.Sequential:
    later = (WideBlock(outside, outside, 1, dropout, projected=False) for _ in range(depth - 1))
    return nn.Sequential(WideBlock(inside, outside, stride, dropout, projected=True), *later)


def wide_resnet22_2(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    dropout: Annotated[float, Range(0, 0.9)] = 0.3,
    width: Width = 1.0,
) -> nn.Module:
    """WRN-22-2, a wide ResNet of depth 22 and factor 2 (Zagoruyko and Komodakis, BMVC 2016): RigL's network for CIFAR.

    dropout: between the convolutions of a block; 0.3 in RigL's code. width: multiplies all channels (16, 32, 64, 128):
    1,076,912 weights with ten classes.
    """
    return WideResNet(input_shape[0], num_classes, 3, 2, width, dropout)
