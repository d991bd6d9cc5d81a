"""Batches of images on the device: normalised and augmented whole."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEVELS = 256  # of a pixel
STATISTICS_BYTES = 4 << 20  # of pixels, copied at once
AUGMENTATIONS = ("none", "shift", "flip-crop")


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (B, C, H, W) -> float32 (B, C, H, W): (image / 255 - mean) / std, per channel."""
    scale = torch.tensor([1 / (255 * s) for s in std], device=images.device).view(1, -1, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=images.device).view(1, -1, 1, 1)
    return torch.addcmul(shift, images.to(torch.float32), scale)


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 (N, C, H, W), on the scale 0 to 1, exactly.

    A channel that is constant has the deviation 1. No more than a part of the images is copied.
    """
    counts = torch.zeros((images.shape[1], LEVELS), dtype=torch.int64)
    for part in torch.split(images, max(1, STATISTICS_BYTES // images[0].numel())):
        for channel, of_channel in enumerate(counts):
            of_channel += torch.bincount(part[:, channel].reshape(-1), minlength=LEVELS)
    level = torch.arange(LEVELS)
    pixels = len(images) * images[0, 0].numel()
    means, stds = [], []
    for of_channel in counts:
        one, square = int((of_channel * level).sum()), int((of_channel * level**2).sum())
        means.append(one / pixels / 255)
        variance = (pixels * square - one * one) / pixels**2  # of whole numbers: no rounding before the division
        stds.append(math.sqrt(variance) / 255 if variance else 1.0)
    return tuple(means), tuple(stds)


def augmented(images: Tensor, how: str, generator: torch.Generator) -> Tensor:
    """Shift or crop and flip each image (B, C, H, W) by its own draw; borders are replicated.

    `shift` moves by up to one pixel. `flip-crop` moves by up to four pixels and mirrors half of the images.
    """
    reach = 1 if how == "shift" else 4
    count, _, height, width = images.shape
    moves = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator).to(images.device)
    rows = (torch.arange(height, device=images.device) + moves[0]).clamp_(0, height - 1)  # (B, H)
    columns = (torch.arange(width, device=images.device) + moves[1]).clamp_(0, width - 1)  # (B, W)
    if how == "flip-crop":
        mirrored = torch.rand((count, 1), generator=generator).to(images.device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    each = torch.arange(count, device=images.device)[:, None, None]
    return images.movedim(1, 3)[each, rows[:, :, None], columns[:, None, :]].movedim(3, 1).contiguous()
