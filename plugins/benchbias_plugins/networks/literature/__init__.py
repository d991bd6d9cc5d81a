"""Networks of the literature: ResNets, a wide ResNet, a vision transformer, and those of torchvision and timm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import hookimpl

from .cifar import resnet20, resnet32, resnet44, resnet56, resnet110, wide_resnet22_2
from .library import timm_model, torchvision_model
from .resnet import resnet18, resnet50
from .vit import vit

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@hookimpl
def benchbias_models() -> dict[str, Callable[..., nn.Module]]:
    return {
        "resnet18": resnet18,
        "resnet20": resnet20,
        "resnet32": resnet32,
        "resnet44": resnet44,
        "resnet50": resnet50,
        "resnet56": resnet56,
        "resnet110": resnet110,
        "timm": timm_model,
        "torchvision": torchvision_model,
        "vit": vit,
        "wide_resnet22_2": wide_resnet22_2,
    }
