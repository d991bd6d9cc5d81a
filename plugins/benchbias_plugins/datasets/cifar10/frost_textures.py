"""Textures of frost: five of our own, drawn by code, or the five photographs that the published corruption uses.

The photographs may not be shipped. Ours have their means and deviations of each channel and their spectrum (power falls
as one over the frequency), not their crystals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchbias import DataError, folder_images

from .pixels import SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Textures = Sequence[NDArray[np.uint8]]  # five of (3, H, W), at the scale of the images

PHOTOGRAPHS = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")  # a sixth is never drawn
SCALE = 5  # photographs are taken at a fifth of their size: the middle pixel of five, as OpenCV's linear resize does
STREAM = 20190329
HEIGHT, WIDTH = 120, 180  # of our textures: the first photograph's at that scale
TONES = (  # mean and deviation of red, green and blue of the five photographs at that scale, in grey levels
    ((78, 149, 166), (27, 16, 15)),
    ((201, 205, 214), (21, 22, 23)),
    ((201, 205, 214), (21, 22, 23)),
    ((138, 153, 166), (29, 29, 30)),
    ((112, 123, 135), (44, 43, 42)),
)


def drawn() -> Textures:
    """Five textures of our own, always the same."""
    return [_texture(number, *tones) for number, tones in enumerate(TONES)]


def _texture(number: int, means: tuple[int, ...], deviations: tuple[int, ...]) -> NDArray[np.uint8]:
    """A random field whose power falls as one over the frequency, in the tones of a photograph: (3, H, W)."""
    noise = np.random.default_rng([STREAM, number]).standard_normal((HEIGHT, WIDTH))
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH))
    frequency[0, 0] = np.inf  # no mean
    field = np.fft.irfft2(np.fft.rfft2(noise) / np.sqrt(frequency), (HEIGHT, WIDTH))
    field /= field.std()
    tones = np.array(means)[:, None, None] + np.array(deviations)[:, None, None] * field
    return np.clip(np.rint(tones), 0, 255).astype(np.uint8)


def photographs(root: Path, folder: str) -> Textures:
    """The published textures, from `<root>/<folder>/frost1.png` and so on. Raises DataError, naming the file."""
    return [_photograph(root, folder, name) for name in PHOTOGRAPHS]


def _photograph(root: Path, folder: str, name: str) -> NDArray[np.uint8]:
    where = f"the folder {folder!r} must hold {', '.join(PHOTOGRAPHS)}"
    whole = folder_images(root, folder, [(where, name)], channels=3)[0].numpy()
    texture: NDArray[np.uint8] = np.ascontiguousarray(whole[:, SCALE // 2 :: SCALE, SCALE // 2 :: SCALE])
    if min(texture.shape[1:]) <= SIDE:
        size = f"{whole.shape[2]}x{whole.shape[1]}"
        raise DataError(f"{where}: {name} has {size} pixels, and more than 160x160 are needed")
    return texture
