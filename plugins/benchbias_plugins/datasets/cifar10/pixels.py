"""Pixels of images of 32 x 32: between bytes and the scale 0 to 1, and read between the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Images = NDArray[np.uint8]  # (N, 3, 32, 32)
    Pixels = NDArray[np.float64]  # (N, 3, 32, 32) or (N, 32, 32), from 0 to 1 where nothing else is said

SIDE = 32  # pixels
ROUNDING = 1e-4  # of a grey level: what is a whole level but for rounding is that level


def unit(images: Images) -> Pixels:
    """Bytes on the scale 0 to 1."""
    return images / 255.0


def levels(pixels: Pixels) -> Images:
    """The scale 0 to 1 as bytes, cut off at both ends; a part of a level is dropped, as in the published code."""
    return np.floor(np.clip(pixels, 0, 1) * 255 + ROUNDING).astype(np.uint8)


def smoothed(pixels: Pixels, sigma: float, *, mode: str = "nearest", truncate: float = 4.0) -> Pixels:
    """A Gaussian of this standard deviation in pixels over the last two axes."""
    from scipy.ndimage import gaussian_filter

    found: Pixels = gaussian_filter(pixels, sigma, mode=mode, truncate=truncate, axes=(-2, -1))
    return found


def sampled(pixels: Pixels, rows: Pixels, columns: Pixels, border: Literal["mirror", "reflect"]) -> Pixels:
    """The images (N, 3, H, W) read at fractional places, bilinearly. rows, columns: (N, H, W), in pixels.

    border: beyond the edge, `mirror` is (d c b | a b c d | c b a), `reflect` is (c b a | a b c d | d c b).
    """
    count, _, height, width = pixels.shape
    flat = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)).reshape(count * height * width, -1)
    first = np.arange(count)[:, None, None] * height * width
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = rows - top, columns - left  # (N, H, W), from 0 to 1
    found = np.zeros((count, height, width, flat.shape[1]))
    for row, row_share in ((top, 1 - down), (top + 1, down)):
        start = first + folded(row, height, border) * width
        for column, share in ((left, row_share * (1 - right)), (left + 1, row_share * right)):
            found += flat[start + folded(column, width, border)] * share[..., None]
    return found.transpose(0, 3, 1, 2)


def folded(index: NDArray[np.int64], length: int, border: Literal["mirror", "reflect"]) -> NDArray[np.int64]:
    """Indices beyond an axis of this length, folded back into it."""
    edge = 0 if border == "mirror" else 1
    period = 2 * (length - 1 + edge)
    within = index % period
    return np.where(within < length, within, period - edge - within)


def enlarged(pixels: Pixels, factors: Sequence[float]) -> Pixels:
    """The sum of the images' (..., 32, 32) enlargements about the middle by these factors, linearly interpolated."""
    from scipy.sparse import csr_array, kron

    total = sum(kron(*[csr_array(_enlargement(factor))] * 2, format="csr") for factor in factors)
    flat = pixels.reshape(-1, SIDE * SIDE)
    found: Pixels = (total @ flat.T).T.reshape(pixels.shape)
    return found


def _enlargement(factor: float) -> NDArray[np.float64]:
    """(32, 32): what an enlargement makes of one axis."""
    from scipy.ndimage import zoom

    crop = int(np.ceil(SIDE / factor))
    top = (SIDE - crop) // 2
    grown = zoom(np.eye(SIDE)[top : top + crop], (factor, 1), order=1)
    trim = (len(grown) - SIDE) // 2
    found: NDArray[np.float64] = grown[trim : trim + SIDE]
    return found
