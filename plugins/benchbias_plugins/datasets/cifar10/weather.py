"""Weather: snow, frost and fog (Hendrycks and Dietterich, 2019; constants of CIFAR-10-C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .motion import along_a_line
from .pixels import SIDE, enlarged, levels, unit

if TYPE_CHECKING:
    from .frost_textures import Textures
    from .pixels import Images, Pixels

SNOW = (  # mean and deviation of the flakes, their size, the least that shows, radius and sigma of their fall, rest
    (0.1, 0.2, 1.0, 0.6, 8, 3, 0.95),
    (0.1, 0.2, 1.0, 0.5, 10, 4, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
)
FALL = (-135.0, -45.0)  # degrees
GREY = np.array((0.299, 0.587, 0.114))  # of red, green and blue (ITU-R BT.601)
FROST = ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))  # shares of the image and of the texture
FOG = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))  # strength, and how fast small shapes fade


def snow(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """A whitened image under flakes that fall along a line, and the same flakes turned by 180 degrees."""
    mean, deviation, size, least, radius, sigma, rest = SNOW[severity - 1]
    flakes = enlarged(mean + deviation * stream.standard_normal((len(images), 1, SIDE, SIDE)), [size])
    flakes[flakes < least] = 0
    degrees = stream.uniform(*FALL, len(images))
    fallen = unit(along_a_line(levels(flakes), int(radius), sigma, degrees))  # (N, 1, 32, 32)
    pixels = unit(images)
    grey = np.tensordot(GREY, pixels, axes=(0, 1))[:, None]
    white = rest * pixels + (1 - rest) * np.maximum(pixels, grey * 1.5 + 0.5)
    return levels(white + fallen + fallen[:, :, ::-1, ::-1])


def frost(images: Images, severity: int, stream: np.random.Generator, textures: Textures) -> Images:
    """A part of a texture of frost added to the image. textures: five of uint8 (3, H, W), H and W above 32."""
    share, frosted = FROST[severity - 1]
    chosen = stream.integers(len(textures), size=len(images))
    heights, widths = (np.array([texture.shape[axis] - SIDE for texture in textures]) for axis in (1, 2))
    tops, lefts = stream.integers(0, heights[chosen]), stream.integers(0, widths[chosen])
    found = share * unit(images)
    for image, (number, top, left) in enumerate(zip(chosen, tops, lefts, strict=True)):
        found[image] += frosted * unit(textures[number][:, top : top + SIDE, left : left + SIDE])
    return levels(found)


def fog(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """A cloud added to the image, and the sum scaled back to its brightest value."""
    strength, decay = FOG[severity - 1]
    pixels = unit(images)
    brightest = pixels.max(axis=(1, 2, 3), keepdims=True)
    hazy = pixels + strength * clouds(len(images), decay, stream)[:, None]
    return levels(hazy * brightest / (brightest + strength))


def clouds(count: int, decay: float, stream: np.random.Generator) -> Pixels:
    """Height maps (count, 32, 32) from 0 to 1 by the diamond-square algorithm on a torus.

    decay: by what the random part shrinks from one scale to the next. Each scale draws its squares' middles, then
    the middles of their horizontal and of their vertical sides, uniformly.
    """
    height = np.zeros((count, SIDE, SIDE))
    step, wibble = SIDE, 100.0

    def filled(total: Pixels) -> Pixels:
        return total / 4 + wibble * stream.uniform(-wibble, wibble, total.shape)

    while step >= 2:
        half = step // 2
        corners = height[:, ::step, ::step]
        square = corners + np.roll(corners, -1, axis=1)
        square = square + np.roll(square, -1, axis=2)
        height[:, half::step, half::step] = filled(square)
        middles = height[:, half::step, half::step]
        above = middles + np.roll(middles, 1, axis=1)
        beside = corners + np.roll(corners, -1, axis=2)
        height[:, ::step, half::step] = filled(above + beside)
        left = middles + np.roll(middles, 1, axis=2)
        below = corners + np.roll(corners, -1, axis=1)
        height[:, half::step, ::step] = filled(left + below)
        step, wibble = half, wibble / decay
    height -= height.min(axis=(1, 2), keepdims=True)
    highest: Pixels = height.max(axis=(1, 2), keepdims=True)
    return height / highest
