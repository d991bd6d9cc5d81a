"""Grounds of SpuCoMNIST: the pixels that show them, their colours, painting them, and erasing pixels of a digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from .drawing import share_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

Difficulty = Literal[
    "magnitude_large", "magnitude_medium", "magnitude_small", "variance_low", "variance_medium", "variance_high"
]
CORNER = {"magnitude_large": 28, "magnitude_medium": 4, "magnitude_small": 2, "variance_low": 7}  # pixels a side
WITHIN = {"variance_medium": 14, "variance_high": 28}  # pixels a side, of which DRAWN are drawn for every image
DRAWN = 49
KEPT_BELOW = 0.25  # core-feature noise erases where a standard normal number is at most this: 59.9 % of the pixels
CHUNK = 4096  # images
HUES = (  # stops and values of red, green and blue: matplotlib's map `hsv`
    (
        (0.0, 0.15873, 0.174603, 0.333333, 0.349206, 0.666667, 0.68254, 0.84127, 0.857143, 1.0),
        (1.0, 1.0, 0.96875, 0.03125, 0.0, 0.0, 0.03125, 0.96875, 1.0, 1.0),
    ),
    (
        (0.0, 0.15873, 0.174603, 0.507937, 0.666667, 0.68254, 1.0),
        (0.0, 0.9375, 1.0, 1.0, 0.0625, 0.0, 0.0),
    ),
    (
        (0.0, 0.333333, 0.349206, 0.507937, 0.84127, 0.857143, 1.0),
        (0.0, 0.0, 0.0625, 1.0, 1.0, 0.9375, 0.09375),
    ),
)


def visible(difficulty: Difficulty, count: int, stream: np.random.Generator) -> NDArray[np.bool_]:
    """The pixels that may show the ground: bool (1, 28, 28), or (count, 28, 28) where every image has its own."""
    if difficulty in CORNER:
        shown = np.zeros((1, 28, 28), dtype=bool)
        shown[:, : CORNER[difficulty], : CORNER[difficulty]] = True
        return shown
    side = WITHIN[difficulty]
    shown = np.zeros((count, 28, 28), dtype=bool)
    for start in range(0, count, CHUNK):
        block = shown[start : start + CHUNK, :side, :side]
        order = stream.random((len(block), side * side), dtype=np.float32)
        each, place = np.arange(len(block))[:, None], np.argpartition(order, DRAWN - 1, axis=1)[:, :DRAWN]
        block[each, place // side, place % side] = True
    return shown


def erased(images: NDArray[np.uint8], share: float, stream: np.random.Generator) -> NDArray[np.uint8]:
    """Images (N, 28, 28) of which floor(share * N) keep about two pixels in five, drawn for each."""
    chosen = stream.permutation(len(images))[: share_of(share, len(images))]
    changed = images.copy()
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        changed[part] *= stream.standard_normal((len(part), 28, 28), dtype=np.float32) > KEPT_BELOW
    return changed


def painted(images: NDArray[np.uint8], colours: NDArray[np.uint8], shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grey images (N, 28, 28) on grounds of their colours (N, 3): uint8 (N, 3, 28, 28). Ink keeps its grey."""
    ground = (images == 0) & shown  # (N, 28, 28)
    return np.where(ground[:, None], colours[:, :, None, None], images[:, None])


def hues(count: int) -> NDArray[np.uint8]:
    """`count` colours, uint8 (count, 3): matplotlib's map `hsv`, of 256 colours, at 0, 1 / count, 2 / count, ..."""
    at = np.floor(np.arange(count) / count * 256) / 255
    return np.stack([np.round(255 * np.interp(at, stops, values)) for stops, values in HUES], axis=1).astype(np.uint8)
