"""Spatter: drops of water or mud on the lens (Hendrycks and Dietterich, 2019; constants of CIFAR-10-C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .edges import canny, distances, equalised
from .pixels import ROUNDING, SIDE, levels, smoothed, unit

if TYPE_CHECKING:
    from .pixels import Images, Pixels

SPATTER = (  # mean, deviation and blur of the liquid, the least that shows, strength of water or blur of mud
    (0.62, 0.1, 0.7, 0.7, 0.5),
    (0.65, 0.1, 0.8, 0.7, 0.5),
    (0.65, 0.3, 1.0, 0.69, 0.5),
    (0.65, 0.1, 0.7, 0.69, 0.6),
    (0.65, 0.1, 0.5, 0.68, 0.6),
)
MUDDY = 4  # from this severity on
WATER = np.array((175, 238, 238)) / 255  # pale turquoise
MUD = np.array((63, 42, 20)) / 255  # brown
DRY = 0.8  # mud that is thinner does not show
FAR = 20  # pixels: no edge is further away
RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])  # light from one corner


def spatter(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Water up to severity 3, brightest along the edges of the drops; then mud, which hides what is below."""
    mean, deviation, blur, least, strength = SPATTER[severity - 1]
    liquid = smoothed(mean + deviation * stream.standard_normal((len(images), SIDE, SIDE)), blur)
    liquid[liquid < least] = 0
    pixels = unit(images)
    if severity < MUDDY:
        return levels(pixels + (strength * glitter(liquid))[:, None] * WATER[:, None, None])
    mud = smoothed((liquid > least).astype(np.float64), strength)[:, None]
    mud[mud < DRY] = 0
    return levels(pixels * (1 - mud) + MUD[:, None, None] * mud)


def glitter(liquid: Pixels) -> Pixels:
    """How bright the water is, from 0 to 1 in every image: (N, 32, 32); nothing where there is no drop.

    The published code has no number then. A liquid above 1 is cut off; there it begins anew from 0.
    """
    from scipy.ndimage import correlate

    depth = levels(liquid)
    away = np.minimum(distances(canny(depth, 50, 150)), FAR)
    away = equalised(np.floor(_mean_of_nine(away) + ROUNDING).astype(np.uint8), FAR)
    lit = np.clip(correlate(away.astype(np.int64), RELIEF[None], mode="mirror"), 0, 255)
    bright: Pixels = depth.astype(np.float64) * np.rint(_mean_of_nine(lit.astype(np.float64)))
    brightest: Pixels = bright.max(axis=(1, 2), keepdims=True)
    return bright / np.maximum(brightest, 1)


def _mean_of_nine(images: Pixels) -> Pixels:
    """The mean over 3 x 3 pixels."""
    from scipy.ndimage import correlate

    found: Pixels = correlate(images, np.ones((1, 3, 3)), mode="mirror") / 9
    return found
