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
TABLE_SIZE = 1 << 18  # numbers in the table of all moves of an image, at most: 2 MiB
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
    kinds = 2 * _reach(how) + 1
    rows, columns = torch.randint(kinds, (2, count), generator=generator)  # 0: up, or left, by the reach
    if how == "shift":
        return rows, columns
    return rows, columns + kinds * (torch.rand((count,), generator=generator) < 0.5)


def _reach(how: str) -> int:
    return 1 if how == "shift" else 4


@dataclass(frozen=True)
class Augmenter:
    """Augments images of one shape by what was `drawn` for them, and normalises them.

    rows: int64 (moves, H), for each vertical move the pixel at which the row begins that comes to each place. columns:
    int64 (moves, W), and of mirrored images after that. inside: uint8 of the same shapes, 0 where a move leaves a
    black border. table: int64 (vertical moves * others, H * W), where the pixel of each place comes from; None where
    images are large: then it is found for each batch anew.
    """

    how: str
    rows: Tensor | None = None
    columns: Tensor | None = None
    inside: tuple[Tensor, Tensor] | None = None
    table: Tensor | None = None

    @staticmethod
    def of(how: str, shape: Sequence[int], device: torch.device) -> Augmenter:
        """Keep the moves of images of a shape (C, H, W), on a device."""
        if how in ("none", "flip-resized-crop"):
            return Augmenter(how)
        _, height, width = shape
        moves = torch.arange(-_reach(how), _reach(how) + 1, device=device)[:, None]
        rows = torch.arange(height, device=device) + moves
        columns = torch.arange(width, device=device) + moves
        if how != "shift":
            columns = torch.cat([columns, columns.flip(1)])
        near_rows, near_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
        inside = (rows == near_rows).byte(), (columns == near_columns).byte()
        begins = near_rows * width
        small = 1 < height * width <= TABLE_SIZE // (len(near_rows) * len(near_columns))
        table = (begins[:, None, :, None] + near_columns[None, :, None, :]).flatten(2).flatten(0, 1) if small else None
        return Augmenter(how, begins, near_columns, inside if how == "flip-crop-zeros" else None, table)

    def __call__(self, images: Tensor, draws: Draws, normaliser: Callable[[Tensor], Tensor]) -> Tensor:
        """uint8 (B, C, H, W) -> float32 (B, C, H, W), on the device of the moves, as the draws are.

        Pixels are moved before they are normalised: as bytes they are a quarter.
        """
        if self.how == "flip-resized-crop":
            return _resized(normaliser(images), draws[0])
        if self.rows is None:
            return normaliser(images)
        made = normaliser(self._moved(images, *draws))
        return _as_laid_out(made) if self.inside is None else made

    def _moved(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Images uint8 (B, C, H, W) moved, and mirrored where so drawn; rows, columns: int64 (B,)."""
        assert self.rows is not None
        assert self.columns is not None
        count, channels, _, _ = images.shape
        if self.table is not None:
            pixels = self.table.index_select(0, torch.add(columns, rows, alpha=len(self.columns)))
        else:
            pixels = self.rows.index_select(0, rows)[:, :, None] + self.columns.index_select(0, columns)[:, None, :]
        pixels = pixels.view(count, 1, -1).expand(-1, channels, -1)  # (B, C, H * W)
        made = images.reshape(count, channels, -1).gather(2, pixels).view(images.shape)
        if self.inside is None:
            return made
        high, wide = (part.index_select(0, at) for part, at in zip(self.inside, (rows, columns), strict=True))
        return made.mul_((high[:, :, None] & wide[:, None, :])[:, None])


def _as_laid_out(images: Tensor) -> Tensor:
    """Images of one channel (or pixel) with the strides of channels that come last, as they always had.

    They are contiguous either way, but convolutions go by strides: others would change the last bits of a result.
    """
    count, channels, height, width = images.shape
    if channels > 1 and height * width > 1:
        return images
    return images.view(count, height, width, channels).movedim(3, 1)


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
