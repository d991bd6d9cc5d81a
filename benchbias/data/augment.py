"""Batches of images on the device: normalised and augmented whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    scale, shift = _constants(mean, std, images.device)
    return torch.addcmul(shift, images.to(torch.float32), scale)


def _constants(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The factor of an image, and what is added to the product: float32 (1, C, 1, 1) each."""
    scale = torch.tensor([1 / (255 * s) for s in std], device=device).view(1, -1, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device).view(1, -1, 1, 1)
    return scale, shift


@dataclass(frozen=True)
class Normaliser:
    """Does what `normalise` does, bit for bit, to images of one shape: in a third of its time on a CPU.

    scale, shift: float32 (1, C, H, W), one number a pixel: torch is slow where a constant is spread over pixels.
    """

    scale: Tensor
    shift: Tensor

    @staticmethod
    def of(mean: tuple[float, ...], std: tuple[float, ...], shape: Sequence[int], device: torch.device) -> Normaliser:
        """Keep the constants of images of a shape (C, H, W), on a device."""
        return Normaliser(*(each.expand(1, *shape).contiguous() for each in _constants(mean, std, device)))

    def fits(self, images: Tensor) -> bool:
        """Whether images (B, C, H, W) have the shape and the device of the constants."""
        return images.shape[1:] == self.scale.shape[1:] and images.device == self.scale.device

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W) -> float32 (B, C, H, W)."""
        made = images.to(torch.float32)
        return torch.addcmul(self.shift, made, self.scale, out=made)


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


Draws = tuple[Tensor, ...]
"""Random numbers of an augmentation for a batch, on the CPU: tensors whose first dimension is the batch's."""


def drawn(how: str, count: int, shape: Sequence[int], generator: torch.Generator) -> Draws:
    """Draw how `count` images of a shape (C, H, W) are augmented; nothing for `none`.

    `shift` moves by up to one pixel, borders replicated. `flip-crop` moves by up to four pixels, borders replicated,
    and mirrors half of the images; `flip-crop-zeros` does so with black borders, as published CIFAR-10 recipes do.
    `flip-resized-crop` scales a random part of 70 to 100 % of the area to the whole size, and mirrors half.
    """
    if how == "none":
        return ()
    if how == "flip-resized-crop":
        return (_resized_crops(count, shape, generator),)
    reach = 1 if how == "shift" else 4
    moves = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator).transpose(0, 1)  # (B, 2, 1)
    return (moves,) if how == "shift" else (moves, torch.rand((count, 1), generator=generator) < 0.5)


def augmented(images: Tensor, how: str, draws: Draws, normaliser: Callable[[Tensor], Tensor]) -> Tensor:
    """Normalise images uint8 (B, C, H, W), each augmented by its own draw: float32 (B, C, H, W).

    draws: from `drawn`, on the images' device. Pixels are moved before they are normalised: a byte is a quarter.
    """
    if how == "none":
        return normaliser(images)
    if how == "flip-resized-crop":
        return _resized(normaliser(images), draws[0])
    black = how == "flip-crop-zeros"
    made = normaliser(_moved(images, draws, black=black))
    return made if black else _as_laid_out(made)


def _as_laid_out(images: Tensor) -> Tensor:
    """Images of one channel (or pixel) with the strides of channels that come last, as they always had.

    They are contiguous either way, but convolutions go by strides: others would change the last bits of a result.
    """
    count, channels, height, width = images.shape
    if channels > 1 and height * width > 1:
        return images
    return images.view(count, height, width, channels).movedim(3, 1)


def _moved(images: Tensor, draws: Draws, *, black: bool) -> Tensor:
    """Images uint8 (B, C, H, W) moved by rows and columns, mirrored where so drawn; borders black or replicated."""
    count, channels, height, width = images.shape
    moves = draws[0]  # (B, 2, 1)
    moved_rows = torch.arange(height, device=images.device) + moves[:, 0]  # (B, H)
    moved_columns = torch.arange(width, device=images.device) + moves[:, 1]  # (B, W)
    if len(draws) > 1:
        moved_columns = torch.where(draws[1], moved_columns.flip(1), moved_columns)
    rows, columns = moved_rows.clamp(0, height - 1), moved_columns.clamp(0, width - 1)
    pixels = ((rows * width)[:, :, None] + columns[:, None, :]).view(count, 1, -1).expand(-1, channels, -1)
    made = images.reshape(count, channels, -1).gather(2, pixels).view(images.shape)
    if not black:
        return made
    inside = (rows == moved_rows)[:, None, :, None] & (columns == moved_columns)[:, None, None, :]
    return made.masked_fill_(~inside, 0)


def _resized_crops(count: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """The affine maps (B, 2, 3) from whole images to random parts of them; half are mirrored."""
    _, height, width = shape
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
    return theta


def _resized(images: Tensor, theta: Tensor) -> Tensor:
    """The part of each normalised image (B, C, H, W) that its map names, brought to the whole size, bilinearly."""
    grid = torch.nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
