"""Noise on every value: gaussian, shot, impulse and speckle (Hendrycks and Dietterich, 2019).

Constants by severity 1 to 5 are those of CIFAR-10-C; ImageNet-C has others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .pixels import levels, unit

if TYPE_CHECKING:
    from .pixels import Images

GAUSSIAN = (0.04, 0.06, 0.08, 0.09, 0.10)  # standard deviation
SHOT = (500, 250, 100, 75, 50)  # photons at full brightness
IMPULSE = (0.01, 0.02, 0.03, 0.05, 0.07)  # share of values that become 0 or 1
SPECKLE = (0.06, 0.1, 0.12, 0.16, 0.2)  # standard deviation, of the value


def gaussian_noise(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Normal noise on every value."""
    return levels(unit(images) + GAUSSIAN[severity - 1] * stream.standard_normal(images.shape))


def shot_noise(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Every value is a count of photons."""
    photons = SHOT[severity - 1]
    return levels(stream.poisson(unit(images) * photons) / photons)


def impulse_noise(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Salt and pepper: some values become 255 or 0, each with equal chance."""
    struck = stream.random(images.shape) <= IMPULSE[severity - 1]
    salt = stream.random(images.shape) <= 0.5
    return np.where(struck, np.where(salt, 255, 0), images).astype(np.uint8)


def speckle_noise(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Normal noise in proportion to the value."""
    pixels = unit(images)
    return levels(pixels + pixels * SPECKLE[severity - 1] * stream.standard_normal(images.shape))
