"""Edges, distances and equal histograms of many small grey images at once, as OpenCV computes them.

Canny (1986) on Sobel derivatives of 3 x 3 with the sum of their sizes; the distance of Borgefors (1986) on a mask of
5 x 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]  # (N, H, W)

NEAR, DIAGONAL, KNIGHT = 1.0, 1.4, 2.1969  # lengths of three steps, in pixels
TANGENT = 13573  # of 22.5 degrees, times 2 ** 15


def canny(images: Bytes, low: int, high: int) -> NDArray[np.bool_]:
    """The edges, (N, H, W): ridges of the derivative above `high`, and those above `low` that touch them."""
    from scipy.ndimage import label

    values = images.astype(np.int64)
    right, down = (_derivative(values, along, across) for along, across in ((2, 1), (1, 2)))
    size = np.abs(right) + np.abs(down)
    ridge = _ridge(right, down, size) & (size > low)
    neighbours = np.zeros((3, 3, 3), dtype=bool)
    neighbours[1] = True  # within an image only
    parts, count = label(ridge, neighbours)
    kept = np.zeros(count + 1, dtype=bool)
    kept[parts[ridge & (size > high)]] = True
    found: NDArray[np.bool_] = kept[parts]
    return found


def _derivative(values: NDArray[np.int64], along: int, across: int) -> NDArray[np.int64]:
    """Sobel's, of images: scipy's own smooths over the axis of the images too."""
    from scipy.ndimage import correlate1d

    smooth = correlate1d(values, (1, 2, 1), axis=across, mode="nearest")
    found: NDArray[np.int64] = correlate1d(smooth, (-1, 0, 1), axis=along, mode="nearest")
    return found


def _ridge(right: NDArray[np.int64], down: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where the derivative is larger than at both neighbours across the edge."""
    around = np.pad(size, ((0, 0), (1, 1), (1, 1)))
    height, width = size.shape[1:]

    def at(rows: int, columns: int) -> NDArray[np.int64]:
        return around[:, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    across, along = np.abs(right) * TANGENT, np.abs(down) << 15
    level = along < across
    steep = along > across + (np.abs(right) << 16)
    falling = (right ^ down) < 0
    beside = (size > at(0, -1)) & (size >= at(0, 1))
    above = (size > at(-1, 0)) & (size >= at(1, 0))
    slanted = np.where(falling, (size > at(-1, 1)) & (size > at(1, -1)), (size > at(-1, -1)) & (size > at(1, 1)))
    return np.where(level, beside, np.where(steep, above, slanted))


def distances(edges: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distances of pixels to the nearest edge, (N, H, W), in steps of a king and a knight; infinite without an edge."""
    found = np.where(edges, 0.0, np.inf)
    found = _swept(found)
    return _swept(found[:, ::-1, ::-1])[:, ::-1, ::-1]


def _swept(start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances carried down by rows, and to the right within a row."""
    count, height, width = start.shape
    found = np.full((count, height + 2, width + 4), np.inf)
    found[:, 2:, 2:-2] = start
    reach = NEAR * np.arange(width)
    for row in range(2, height + 2):
        best = found[:, row, 2:-2]
        for above, shift, length in (
            (2, -1, KNIGHT), (2, 1, KNIGHT), (1, -2, KNIGHT), (1, 2, KNIGHT),
            (1, -1, DIAGONAL), (1, 1, DIAGONAL), (1, 0, NEAR),
        ):  # fmt: skip
            best = np.minimum(best, found[:, row - above, 2 + shift : 2 + shift + width] + length)
        found[:, row, 2:-2] = np.minimum.accumulate(best - reach, axis=1) + reach
    return found[:, 2:, 2:-2]


def equalised(images: Bytes, highest: int) -> Bytes:
    """Grey levels spread so that each is as frequent as another; an image of one level stays as it is.

    highest: no level is above it.
    """
    pixels = images[0].size
    counts = np.stack([(images == level).sum(axis=(1, 2)) for level in range(highest + 1)], axis=1)  # (N, levels)
    lowest = (counts > 0).argmax(axis=1)[:, None]
    fewest = np.take_along_axis(counts, lowest, axis=1)
    above = np.where(np.arange(highest + 1) > lowest, counts, 0).cumsum(axis=1)
    scale = np.float32(255) / np.maximum(pixels - fewest, 1).astype(np.float32)
    table = np.rint(above * scale).astype(np.uint8)  # (N, levels)
    table[fewest[:, 0] == pixels] = np.arange(highest + 1)
    found: Bytes = np.take_along_axis(table, images.reshape(len(images), -1).astype(np.int64), axis=1)
    return found.reshape(images.shape)
