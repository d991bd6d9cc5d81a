"""Batches of images on the device: normalised and augmented whole."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEVELS = 256  # of a pixel
STATISTICS_BYTES = 4 << 20  # of pixels, copied at once
AUGMENTATIONS = ("none", "shift", "flip-crop", "flip-crop-zeros", "flip-resized-crop")
CROP_AREA = (0.7, 1.0)  # of the image, of a resized crop (group DRO's Waterbirds and CelebA)
CROP_RATIO = (3 / 4, 4 / 3)  # of its width to its height
CROP_TRIES = 10  # then the whole image, as torchvision does


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


def augmented(
    images: Tensor, how: str, generator: torch.Generator, mean: tuple[float, ...], std: tuple[float, ...]
) -> Tensor:
    """Shift or crop and flip each image (B, C, H, W), normalised with mean and std, by its own draw.

    `shift` moves by up to one pixel, borders replicated. `flip-crop` moves by up to four pixels, borders replicated,
    and mirrors half of the images; `flip-crop-zeros` does so with black borders, as published CIFAR-10 recipes do.
    `flip-resized-crop` scales a random part of 70 to 100 % of the area to the whole size, and mirrors half.
    """
    if how == "flip-resized-crop":
        return _resized_crops(images, generator)
    reach = 1 if how == "shift" else 4
    count, _, height, width = images.shape
    moves = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator).to(images.device)
    moved_rows = torch.arange(height, device=images.device) + moves[0]  # (B, H)
    moved_columns = torch.arange(width, device=images.device) + moves[1]  # (B, W)
    if how != "shift":
        mirrored = torch.rand((count, 1), generator=generator).to(images.device) < 0.5
        moved_columns = torch.where(mirrored, moved_columns.flip(1), moved_columns)
    rows, columns = moved_rows.clamp(0, height - 1), moved_columns.clamp(0, width - 1)
    each = torch.arange(count, device=images.device)[:, None, None]
    made = images.movedim(1, 3)[each, rows[:, :, None], columns[:, None, :]].movedim(3, 1).contiguous()
    if how != "flip-crop-zeros":
        return made
    inside = (rows == moved_rows)[:, None, :, None] & (columns == moved_columns)[:, None, None, :]
    black = normalise(torch.zeros((1, len(mean), 1, 1), dtype=torch.uint8, device=images.device), mean, std)
    return torch.where(inside, made, black)


def _resized_crops(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random part of each image (B, C, H, W), scaled to the whole size by bilinear interpolation; half mirrored."""
    count, _, height, width = images.shape
    area = CROP_AREA[0] + (CROP_AREA[1] - CROP_AREA[0]) * torch.rand((CROP_TRIES, count), generator=generator)
    low, high = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
    ratio = torch.exp(low + (high - low) * torch.rand((CROP_TRIES, count), generator=generator)) * height / width
    wide, high_ = torch.sqrt(area * ratio), torch.sqrt(area / ratio)  # fractions of the image's width and height
    fits = (wide <= 1) & (high_ <= 1)
    first = fits.to(torch.int64).argmax(dim=0, keepdim=True)  # of several the first
    size = torch.stack([torch.where(fits.any(0), side.gather(0, first)[0], 1.0) for side in (wide, high_)])  # (2, B)
    centre = (1 - size) * (2 * torch.rand((2, count), generator=generator) - 1)  # from -1 to 1 over the image
    mirror = torch.where(torch.rand((count,), generator=generator) < 0.5, -1.0, 1.0)
    theta = torch.zeros((count, 2, 3))
    theta[:, 0, 0], theta[:, 1, 1] = size[0] * mirror, size[1]
    theta[:, :, 2] = centre.T
    grid = torch.nn.functional.affine_grid(theta.to(images), list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
