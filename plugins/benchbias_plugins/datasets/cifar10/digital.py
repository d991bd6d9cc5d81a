"""Pixelate, JPEG compression and elastic transform (Hendrycks and Dietterich, 2019; constants of CIFAR-10-C)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from .pixels import SIDE, levels, sampled, smoothed, unit

if TYPE_CHECKING:
    from .pixels import Images, Pixels

PIXELATE = (0.95, 0.9, 0.85, 0.75, 0.65)  # of the side
JPEG = (80, 65, 58, 50, 40)  # quality
ELASTIC = (  # length and smoothness of the local shifts, and reach of the corners; of the side
    (0.0, 0.0, 0.08),
    (0.05, 0.2, 0.07),
    (0.08, 0.06, 0.06),
    (0.1, 0.04, 0.05),
    (0.1, 0.03, 0.03),
)
CORNERS = np.array([[26.0, 26.0], [26.0, 6.0], [6.0, 6.0]])  # column and row of three points that are moved


def pixelate(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Scaled down by means over boxes, and up again."""
    from PIL import Image

    side = int(SIDE * PIXELATE[severity - 1])
    found = np.empty_like(images)
    for number, image in enumerate(images):
        small = Image.fromarray(image.transpose(1, 2, 0)).resize((side, side), Image.Resampling.BOX)
        found[number] = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BOX)).transpose(2, 0, 1)
    return found


def jpeg_compression(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Written as a JPEG file of low quality, and read back."""
    from PIL import Image

    found = np.empty_like(images)
    for number, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=JPEG[severity - 1])
        found[number] = np.asarray(Image.open(file)).transpose(2, 0, 1)
    return found


def elastic_transform(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """An affine map that moves three points a little, then smooth local shifts."""
    length, smoothness, reach = (SIDE * value for value in ELASTIC[severity - 1])
    count = len(images)
    moved = CORNERS + stream.uniform(-reach, reach, (count, 3, 2))
    shift_right, shift_down = (stream.uniform(-1, 1, (count, SIDE, SIDE)) for _ in range(2))
    row, column = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    pixels = sampled(unit(images), *_sources(moved, row, column), border="mirror")
    right, down = (
        smoothed(shift, smoothness, mode="reflect", truncate=3) * length for shift in (shift_right, shift_down)
    )
    return levels(sampled(pixels, row + down, column + right, border="reflect"))


def _sources(moved: Pixels, row: Pixels, column: Pixels) -> tuple[Pixels, Pixels]:
    """Row and column, (N, H, W) each, from which the affine map CORNERS -> moved (N, 3, 2) takes each pixel."""
    at = np.concatenate([moved, np.ones((len(moved), 3, 1))], axis=2)  # (N, 3, 3)
    back = np.linalg.solve(at, np.broadcast_to(CORNERS, moved.shape))  # (N, 3, 2)
    columns, rows = (
        back[:, 0, axis, None, None] * column + back[:, 1, axis, None, None] * row + back[:, 2, axis, None, None]
        for axis in (0, 1)
    )
    return rows, columns
