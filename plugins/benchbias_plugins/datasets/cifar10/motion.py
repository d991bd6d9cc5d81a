"""Blur along a line: half of a Gaussian, at whole pixels in one direction (ImageMagick's MotionBlurImage)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .pixels import ROUNDING, SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pixels import Images


def along_a_line(images: Images, radius: int, sigma: float, degrees: NDArray[np.float64]) -> Images:
    """Every image (N, C, 32, 32) blurred in a direction of its own.

    radius, sigma: of the Gaussian, in pixels; 2 * radius + 1 places are read. degrees: (N,), clockwise from the right.
    Beyond the edge its pixels are repeated; a part of a grey level is dropped.
    """
    reach = np.arange(2 * radius + 1)
    weights = np.exp(-(reach**2) / (2 * sigma**2))
    weights /= weights.sum()
    angle = np.deg2rad(degrees)[:, None]
    down = np.ceil(reach * np.sin(angle) - 0.5).astype(np.int64)  # (N, places)
    right = np.ceil(reach * np.cos(angle) - 0.5).astype(np.int64)
    edge = int(reach[-1])
    around = np.pad(images, ((0, 0), (0, 0), (edge, edge), (edge, edge)), mode="edge")
    found = np.zeros(images.shape)
    for place, weight in enumerate(weights):
        for rows, columns in set(zip(down[:, place].tolist(), right[:, place].tolist(), strict=True)):
            alike = np.flatnonzero((down[:, place] == rows) & (right[:, place] == columns))
            top, left = edge + rows, edge + columns
            found[alike] += weight * around[alike, :, top : top + SIDE, left : left + SIDE]
    return np.floor(found + ROUNDING).astype(np.uint8)
