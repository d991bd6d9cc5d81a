"""Ten digits whose colour says nothing, and corrupted copies of their test split: for what pruning does to whom."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from benchbias import BenchbiasError, BiasedDataset, LabelledSplit, Range, Split

from .digits import colored_ten_digits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation
SHOT = (60.0, 25.0, 12.0, 5.0, 3.0)  # photons at full brightness
IMPULSE = (0.03, 0.06, 0.09, 0.17, 0.27)  # share of values that become 0 or 1
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # what is left of the distance from the image's mean
"""By severity 1 to 5: the parameters of ImageNet-C (Hendrycks and Dietterich, 2019), of the corruptions that act on
each pixel alone, so that they mean the same on 8 x 8 pixels."""


def gaussian_noise(pixels: Pixels, severity: int, stream: np.random.Generator) -> Pixels:
    """Normal noise on every value. pixels: (N, 3, H, W) from 0 to 1."""
    return pixels + GAUSSIAN[severity - 1] * stream.standard_normal(pixels.shape)


def shot_noise(pixels: Pixels, severity: int, stream: np.random.Generator) -> Pixels:
    """Every value is a count of photons."""
    return stream.poisson(pixels * SHOT[severity - 1]) / SHOT[severity - 1]


def impulse_noise(pixels: Pixels, severity: int, stream: np.random.Generator) -> Pixels:
    """Salt and pepper: some values become 1 or 0, each with equal chance."""
    drawn, share = stream.random(pixels.shape), IMPULSE[severity - 1]
    found: Pixels = np.where(drawn < share / 2, 0.0, np.where(drawn < share, 1.0, pixels))
    return found


def contrast(pixels: Pixels, severity: int, stream: np.random.Generator) -> Pixels:
    """Every channel of an image moves to its mean."""
    mean = pixels.mean(axis=(2, 3), keepdims=True)
    found: Pixels = (pixels - mean) * CONTRAST[severity - 1] + mean
    return found


CORRUPTIONS: dict[str, Callable[[Pixels, int, np.random.Generator], Pixels]] = {
    "gaussian-noise": gaussian_noise,
    "shot-noise": shot_noise,
    "impulse-noise": impulse_noise,
    "contrast": contrast,
}


def corrupted_ten_digits(
    root: Path,
    seed: int,
    *,
    conflict_ratio: Annotated[float, Range(0, 1)] = 0.5,
    noise: Annotated[float, Range(0, 2)] = 0.3,
    draws: Annotated[int, Range(1, 64)] = 2,
    severities: tuple[int, ...] = (3, 5),
) -> BiasedDataset:
    """Ten digits, each a class, on grounds whose colour says nothing, and corrupted copies of the test split.

    As colored_ten_digits in all else. severities: from 1 to 5, of each corruption; the splits are named
    `test-gaussian-noise-3` and so on. A corrupted copy has the order, labels and clusters of the test split.
    """
    clean = colored_ten_digits(root, seed, conflict_ratio=conflict_ratio, noise=noise, draws=draws)
    if bad := [severity for severity in severities if not 1 <= severity <= 5]:
        raise BenchbiasError(f"severities are from 1 to 5, not {bad[0]}")
    test = clean.splits["test"]
    splits = {
        f"test-{name}-{severity}": corrupted(test, name, severity, seed)
        for name in CORRUPTIONS
        for severity in severities
    }
    return replace(clean, splits={**clean.splits, **splits})


def corrupted(item: LabelledSplit, name: str, severity: int, seed: int) -> LabelledSplit:
    """A corrupted copy of a split; its noise depends on the seed, the corruption and the severity."""
    stream = np.random.default_rng([seed, 100 + list(CORRUPTIONS).index(name), severity])
    pixels = CORRUPTIONS[name](item.split.images.numpy() / 255.0, severity, stream)
    images = torch.from_numpy(np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
    split = Split(images, item.split.labels, item.split.num_classes, f"{item.split.name}-{name}-{severity}")
    return LabelledSplit(split, item.groups, item.cluster)
