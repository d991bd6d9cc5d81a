"""Networks of the project with random unit masks applied: what slimming is tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from benchbias.network.weights import layer_weights
from benchbias.sparse.masks import Mask, apply, with_attached
from benchbias_plugins.methods import disent
from benchbias_plugins.networks import conv_encoder, lenet, literature, small_networks
from benchbias_plugins.networks.literature.library import timm_model, torchvision_model

Make = Callable[[], nn.Module]
CLASSES = 3
SMALL, LARGE = (3, 16, 16), (3, 32, 32)


def torchvision(name: str, shape: tuple[int, int, int] = LARGE) -> tuple[Make, tuple[int, int, int]]:
    return lambda: torchvision_model(shape, CLASSES, None, name=name), shape  # type: ignore[arg-type]


def timm(name: str) -> tuple[Make, tuple[int, int, int]]:
    return lambda: timm_model(LARGE, CLASSES, None, name=name), LARGE  # type: ignore[arg-type]


def resnet(make: Callable[..., nn.Module]) -> tuple[Make, tuple[int, int, int]]:
    return lambda: make(SMALL, CLASSES, None, stem="cifar", width=0.25), SMALL


def two_encoders(shape: tuple[int, int, int]) -> nn.Module:
    return disent.disent(shape, CLASSES, lambda: lenet.lenet_small(shape, CLASSES))


OWN: Mapping[str, tuple[Make, tuple[int, int, int]]] = {
    "lenet_small": (lambda: lenet.lenet_small((3, 8, 8), CLASSES), (3, 8, 8)),
    "lenet": (lambda: small_networks.lenet((1, 28, 28), CLASSES), (1, 28, 28)),
    "mlp": (lambda: small_networks.mlp((3, 8, 8), CLASSES), (3, 8, 8)),
    "simple_cnn": (lambda: small_networks.simple_cnn(SMALL, CLASSES), SMALL),
    "conv_encoder": (lambda: conv_encoder.conv_encoder(SMALL, CLASSES), SMALL),
    "disent": (lambda: two_encoders((3, 8, 8)), (3, 8, 8)),
    "resnet18": resnet(literature.resnet18),
    "resnet50": resnet(literature.resnet50),
    "resnet20": (lambda: literature.resnet20(SMALL, CLASSES), SMALL),
    "resnet20, projections": (lambda: literature.resnet20(SMALL, CLASSES, shortcut="B"), SMALL),
    "wide_resnet22_2": (lambda: literature.wide_resnet22_2(SMALL, CLASSES, width=0.5), SMALL),
    "vit": (lambda: literature.vit(SMALL, CLASSES, None, patch=4, depth=2, heads=2, dim=16), SMALL),
}
"""The networks that the project ships, small: how each is made, and the shape of its images."""

LIBRARIES: Mapping[str, tuple[Make, tuple[int, int, int]]] = {
    "vgg11_bn": torchvision("vgg11_bn"),
    "mobilenet_v2": torchvision("mobilenet_v2"),
    "efficientnet_b0": torchvision("efficientnet_b0"),
    "densenet121": torchvision("densenet121"),
    "resnext50_32x4d": torchvision("resnext50_32x4d"),
    "squeezenet1_1": torchvision("squeezenet1_1"),
    "googlenet": torchvision("googlenet", (3, 64, 64)),
    "vit_tiny": timm("vit_tiny_patch16_224"),
    "convnext_atto": timm("convnext_atto"),
}
"""Networks of torchvision and timm."""


def masked(make: Make, shape: tuple[int, int, int], seed: int, share: float) -> tuple[nn.Module, Mask]:
    """A network of random norms and biases without a random share of the units of every layer but its last one."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    model = make().eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith(("running_mean", "bias")):
                tensor.normal_(generator=random)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2, generator=random)
    kept: dict[str, Tensor] = {}
    for name, found in layer_weights(model).items():
        if found.rows:
            units = torch.rand(len(found.parameter), generator=random) >= share
            kept[name] = units.view(-1, *[1] * (found.parameter.dim() - 1)).expand(found.parameter.shape).clone()
    kept[list(kept)[-1]][:] = True
    mask = with_attached(Mask(kept, units=True), model, torch.rand(1, *shape, generator=random))
    apply(model, mask)
    return model, mask
