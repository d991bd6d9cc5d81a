"""SimCLR: pretraining without labels, two views of every image pulled together (Chen et al., ICML 2020)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from benchbias import BenchbiasError, Range, hookimpl, nt_xent

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import Batch, TrainContext, TrainingData

ASPECT = math.log(4 / 3)  # a crop's width over its height is from 3/4 to 4/3, as in torchvision's RandomResizedCrop


def cropped(images: Tensor, smallest: float, flip: bool, generator: torch.Generator) -> Tensor:
    """A random crop of each image (B, C, H, W), resized to the whole, bilinearly; half of them mirrored if `flip`.

    smallest: the least share of the area that a crop holds; the share is uniform up to 1.
    """
    count = len(images)
    area, ratio, across, down, mirrored = torch.rand((5, count), generator=generator, dtype=torch.float64)
    area = smallest + (1 - smallest) * area
    ratio = ((2 * ratio - 1) * ASPECT).exp()
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    transform = torch.zeros(count, 2, 3, dtype=torch.float64)
    transform[:, 0, 0] = torch.where(mirrored < 0.5, -width, width) if flip else width
    transform[:, 1, 1] = height
    transform[:, 0, 2] = (1 - width) * (2 * across - 1)
    transform[:, 1, 2] = (1 - height) * (2 * down - 1)
    grid = affine_grid(transform.to(images.device, images.dtype), list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def recoloured(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """The colours of each image (B, 3, H, W), on the scale 0 to 1, turned and stretched about the grey axis.

    The hue turns by up to `strength` times half a circle either way; the distance from grey is scaled by 1 - strength
    to 1 + strength. Both are linear maps of a pixel's colour, clipped to 0 and 1.
    """
    turn, stretch = 2 * torch.rand((2, len(images)), generator=generator, dtype=torch.float64) - 1
    angle, scale = (strength * math.pi * turn)[:, None, None], (1 + strength * stretch)[:, None, None]
    grey = torch.full((3, 3), 1 / 3, dtype=torch.float64)
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / math.sqrt(3)
    rest = torch.eye(3, dtype=torch.float64) - grey
    mixing = grey + scale * (angle.cos() * rest + angle.sin() * across)  # (B, 3, 3), Rodrigues about (1, 1, 1)
    return torch.einsum("bij,bjhw->bihw", mixing.to(images.device, images.dtype), images).clamp(0, 1)


def simclr(
    model: nn.Module,
    data: TrainingData,
    context: TrainContext,
    *,
    temperature: Annotated[float, Range(0.01, 10, log=True)] = 0.07,
    projection: Annotated[int, Range(1, 4096)] = 128,
    smallest_crop: Annotated[float, Range(0.05, 1)] = 0.5,
    flip: bool = False,
    color_jitter: Annotated[float, Range(0, 1)] = 0.0,
) -> None:
    """Train all but the head so that two views of an image are alike and those of other images are not: NT-Xent.

    A view is a random crop; nothing else by default, because mirrored digits are other signs and colour is what the
    study is about. The recipe's own augmentation is drawn for each view anew, before it. What goes into the head goes
    through a projection (D, D, `projection`) that is thrown away; the head is left at zero, for a probe to train.
    smallest_crop: the least share of the image that a crop holds. flip: mirror half of the views. color_jitter: how
    far each view's hue and distance from grey may move, 1 being anywhere. No label is used.
    """
    if color_jitter and data.train.images.shape[1] != 3:
        raise BenchbiasError(f"color_jitter needs images of 3 channels, not {data.train.images.shape[1]}")
    head = context.head(model)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    spared = {id(parameter) for parameter in head.parameters()}
    projector = _projector(model, data, context, projection)
    mean, std = (
        torch.tensor(values, device=context.device).view(1, -1, 1, 1) for values in (data.mean, data.std)
    )  # of normalised images

    def view(images: Tensor) -> Tensor:
        seen = cropped(images, smallest_crop, flip, context.generator)
        if not color_jitter:
            return seen
        return (recoloured(seen * std + mean, color_jitter, context.generator) - mean) / std

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        other = data.batch(data.train, batch.index, augment=True).images
        first, second = (projector(context.features(model, view(images))) for images in (batch.images, other))
        return nt_xent(first, second, temperature)

    encoder = [parameter for parameter in model.parameters() if id(parameter) not in spared]
    context.fit(model, data, loss=loss, parameters=[*encoder, *projector.parameters()])


def _projector(model: nn.Module, data: TrainingData, context: TrainContext, outputs: int) -> nn.Module:
    """Two linear layers with a ReLU between them, drawn from the method's own random numbers."""
    one = data.batch(data.train, torch.zeros(1, dtype=torch.int64, device=context.device)).images
    was_training = model.training
    with torch.no_grad():
        units = context.features(model.eval(), one).shape[1]
    model.train(was_training)
    projector = nn.Sequential(
        nn.Linear(units, units, device="meta"), nn.ReLU(), nn.Linear(units, outputs, device="meta")
    ).to_empty(device="cpu")  # torch's own first weights would be drawn from the global stream
    for parameter in projector.parameters():
        if parameter.ndim == 2:
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu", generator=context.generator)
        else:
            nn.init.zeros_(parameter)
    return projector.to(context.device)


@hookimpl
def benchbias_trainers() -> dict[str, Callable[..., None]]:
    return {"simclr": simclr}
