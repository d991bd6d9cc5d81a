"""ResNet-18 and ResNet-50 (He et al., CVPR 2016), made of torchvision's blocks, at any width and with two stems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from torch import nn

from benchbias import Range

from .weights import with_weights

if TYPE_CHECKING:
    from pathlib import Path

Width = Annotated[float, Range(0.05, 8, log=True)]
Stem = Literal["imagenet", "cifar"]


def resnet18(
    input_shape: tuple[int, int, int],
    num_classes: int,
    root: Path,
    *,
    stem: Stem = "imagenet",
    width: Width = 1.0,
    weights: str | None = None,
    sha256: str | None = None,
) -> nn.Module:
    """torchvision's ResNet-18: 11,172,032 convolution and linear weights with ten classes.

    stem: `imagenet` is the 7x7 convolution of stride 2 and the max pooling, `cifar` a 3x3 convolution of stride 1 and
    no pooling, for small images. width: multiplies the channels (64, 128, 256, 512). weights, sha256: a safetensors
    file below the data folder, with torchvision's names, and its digest.
    """
    from torchvision.models.resnet import BasicBlock

    network = _resnet(BasicBlock, (2, 2, 2, 2), input_shape[0], num_classes, stem, width)
    return with_weights(network, root, weights, sha256, input_shape)


def resnet50(
    input_shape: tuple[int, int, int],
    num_classes: int,
    root: Path,
    *,
    stem: Stem = "imagenet",
    width: Width = 1.0,
    weights: str | None = None,
    sha256: str | None = None,
) -> nn.Module:
    """torchvision's ResNet-50, with the stride on the 3x3 convolutions: 23,475,392 weights with ten classes.

    Options as for `resnet18`; the blocks' outputs have four times the channels.
    """
    from torchvision.models.resnet import Bottleneck

    network = _resnet(Bottleneck, (3, 4, 6, 3), input_shape[0], num_classes, stem, width)
    return with_weights(network, root, weights, sha256, input_shape)


def _resnet(
    block: Any, depths: tuple[int, ...], channels: int, num_classes: int, stem: Stem, width: float
) -> nn.Module:
    """torchvision's ResNet, its layers made anew in its own order: at width 1 on colour it has its random draws too."""
    from torchvision.models import ResNet

    first, *planes = (max(1, round(width * units)) for units in (64, 64, 128, 256, 512))
    with torch.device("meta"):  # draws nothing; all its layers are replaced
        network = ResNet(block, list(depths), num_classes)
    if stem == "imagenet":
        network.conv1 = nn.Conv2d(channels, first, 7, stride=2, padding=3, bias=False)
    else:
        network.conv1 = nn.Conv2d(channels, first, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    network.bn1 = nn.BatchNorm2d(first)
    network.inplanes = first
    for number, (units, depth) in enumerate(zip(planes, depths, strict=True), 1):
        stride = 1 if number == 1 else 2
        setattr(network, f"layer{number}", network._make_layer(block, units, depth, stride=stride))
    network.fc = nn.Linear(planes[-1] * block.expansion, num_classes)
    for module in network.modules():  # as torchvision does; batch norm begins with ones and zeros
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    made: nn.Module = network
    return made
