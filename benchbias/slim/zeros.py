"""Input channels of layers that are zero whatever the image is, read off one network of positive numbers."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from benchbias.network.inspect import look

SCALES = (1.0, 10.0, 100.0, 1000.0)  # of the images of each pass, which are random numbers: what one pass leaves asleep
# behind a threshold, or cancels by chance, another one shows
IMAGES = 2  # that each pass sees
LEAST = 0.5  # of the numbers that are drawn; the largest is LEAST + 1


def live_inputs(model: nn.Module, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """The input channels of every layer called that can be other than zero: bool (I,) by the layer's name.

    A copy of the network is given random positive weights where its own are not zero. Its sums cannot cancel, so a
    channel is zero there exactly where zeros alone make it. Layers are those of torch: linear, and convolutions.
    shape: of an image (C, H, W).
    """
    device = next(model.parameters()).device
    random = torch.Generator().manual_seed(0)
    live: dict[str, Tensor] = {}
    for scale in SCALES:
        twin = copy.deepcopy(model)
        make_positive(twin, random)
        images = scale * (LEAST + torch.rand(IMAGES, *shape, generator=random)).to(device)
        for name, found in _seen(twin, images).items():
            live[name] = live[name] | found if name in live else found
    return live


def make_positive(model: nn.Module, random: torch.Generator) -> None:
    """Put a random positive number in place of every weight that is not zero; the sums of a layer stay near one.

    What a batch norm takes off is added: it makes a constant of zeros, as it did before.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = _drawn(parameter, random)
            if parameter.dim() > 1:  # a row is a sum over the others
                drawn /= (drawn != 0).flatten(1).sum(1).clamp(min=1).view(-1, *[1] * (parameter.dim() - 1))
            parameter.copy_(drawn)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase) and isinstance(module.running_mean, Tensor):
                module.running_mean.copy_(-_drawn(module.running_mean, random))
                if isinstance(module.running_var, Tensor):
                    module.running_var.fill_(1)


def _drawn(tensor: Tensor, random: torch.Generator) -> Tensor:
    """Random numbers where a tensor is not zero, zeros elsewhere."""
    numbers = LEAST + torch.rand(tensor.shape, generator=random)
    return numbers.to(tensor) * (tensor != 0)


def _seen(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The input channels that are not zero everywhere in a pass, by the name of the layer."""
    layers = {module: name for name, module in model.named_modules() if channel_axis(module) is not None}
    live: dict[str, Tensor] = {}

    def watch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        given = args[0] if args else next(iter(kwargs.values()))
        axis = channel_axis(module)
        assert axis is not None
        found = (given != 0).movedim(axis, 0).flatten(1).any(dim=1)
        name = layers[module]
        live[name] = live[name] | found if name in live else found

    look(model, images, layers, watch)
    return live


def channel_axis(module: nn.Module) -> int | None:
    """The axis of a layer's input that holds its channels; None for a module that is no such layer."""
    if isinstance(module, nn.Linear):
        return -1
    if isinstance(module, nn.modules.conv._ConvNd):
        return -1 - len(module.kernel_size)
    return None
