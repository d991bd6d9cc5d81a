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
    coloured = hsv_of_rgb(unit(images).transpose(0, 2, 3, 1))  # (N, H, W, 3)
    coloured[..., channel] = np.clip(coloured[..., channel] * times + plus, 0, 1)
    return levels(rgb_of_hsv(coloured).transpose(0, 3, 1, 2))


def hsv_of_rgb(pixels: Pixels) -> Pixels:
    """Hue, saturation and value, (..., 3) as the input: matplotlib's `rgb_to_hsv`, to the last bit (a test holds it).

    Where channels tie for the largest, blue counts before green and green before red. The hue of a grey is 0.
    """
    red, green, blue = (pixels[..., channel] for channel in range(3))
    value = pixels.max(axis=-1)
    spread = value - pixels.min(axis=-1)
    after = 2.0 + _shares(blue - red, spread)  # sixths of a turn from red, where green is the largest
    hue = np.where(green == value, after, _shares(green - blue, spread))
    hue = np.where(blue == value, 4.0 + _shares(red - green, spread), hue)
    hue = np.where(spread > 0, hue, np.zeros_like(hue))
    return np.stack([(hue / 6.0) % 1.0, _shares(spread, value), value], axis=-1)


def _shares(parts: Pixels, wholes: Pixels) -> Pixels:
    """Quotients; 0 where the whole is 0."""
    found: Pixels = np.divide(parts, wholes, out=np.zeros_like(wholes), where=wholes > 0)
    return found


def rgb_of_hsv(coloured: Pixels) -> Pixels:
    """Red, green and blue, (..., 3) as the input: matplotlib's `hsv_to_rgb`, to the last bit (a test holds it)."""
    hue, saturation, value = (coloured[..., channel] for channel in range(3))
    sixth = (hue * 6.0).astype(np.int64)
    within = hue * 6.0 - sixth  # float64, whatever the input is
    low = value * (1.0 - saturation)
    falling = value * (1.0 - saturation * within)
    rising = value * (1.0 - saturation * (1.0 - within))
    turns = (  # of red, green and blue, by the sixth of the turn
        (value, falling, low, low, rising, value),
        (rising, value, value, falling, low, low),
        (low, low, rising, value, value, falling),
    )
    found: Pixels = np.stack([np.choose(sixth % 6, turn) for turn in turns], axis=-1).astype(coloured.dtype)
    return found


def contrast(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Every channel of an image moves to its mean."""
    pixels = unit(images)
    mean = pixels.mean(axis=(2, 3), keepdims=True)
    return levels((pixels - mean) * CONTRAST[severity - 1] + mean)
