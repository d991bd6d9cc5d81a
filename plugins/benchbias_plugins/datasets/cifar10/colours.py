"""Brightness, saturation and contrast (Hendrycks and Dietterich, 2019; constants of CIFAR-10-C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .pixels import levels, unit

if TYPE_CHECKING:
    from .pixels import Images, Pixels

BRIGHTNESS = (0.05, 0.1, 0.15, 0.2, 0.3)  # added to the value
SATURATE = (
    (0.3, 0.0),
    (0.1, 0.0),
    (1.5, 0.0),
    (2.0, 0.1),
    (2.5, 0.2),
)  # saturation times the first, plus the second
CONTRAST = (0.75, 0.5, 0.4, 0.3, 0.15)  # what is left of the distance from the image's mean


def brightness(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """The value (of hue, saturation and value) raised."""
    return _recoloured(images, channel=2, times=1.0, plus=BRIGHTNESS[severity - 1])


def saturate(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """The saturation lowered (severity 1 and 2) or raised."""
    times, plus = SATURATE[severity - 1]
    return _recoloured(images, channel=1, times=times, plus=plus)


def _recoloured(images: Images, *, channel: int, times: float, plus: float) -> Images:
    from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

    coloured = rgb_to_hsv(unit(images).transpose(0, 2, 3, 1))  # (N, H, W, 3)
    coloured[..., channel] = np.clip(coloured[..., channel] * times + plus, 0, 1)
    pixels: Pixels = hsv_to_rgb(coloured)
    return levels(pixels.transpose(0, 3, 1, 2))


def contrast(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Every channel of an image moves to its mean."""
    pixels = unit(images)
    mean = pixels.mean(axis=(2, 3), keepdims=True)
    return levels((pixels - mean) * CONTRAST[severity - 1] + mean)
