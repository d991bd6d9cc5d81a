"""The nineteen corruptions of CIFAR-10-C (Hendrycks and Dietterich, ICLR 2019, arXiv:1903.12261), by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from benchbias import BenchbiasError

from .blurs import defocus_blur, gaussian_blur, glass_blur, motion_blur, zoom_blur
from .colours import brightness, contrast, saturate
from .digital import elastic_transform, jpeg_compression, pixelate
from .noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from .spatter import spatter
from .weather import fog, frost, snow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .frost_textures import Textures
    from .pixels import Images

CHUNK = 200  # images: these fit the processor's cache


class Corruption(Protocol):
    """Images uint8 (N, 3, 32, 32), a severity from 1 to 5 and a stream of random numbers -> images of that shape."""

    def __call__(self, images: Images, severity: int, stream: np.random.Generator) -> Images: ...


NAMES = (
    *("gaussian-noise", "shot-noise", "impulse-noise", "defocus-blur", "glass-blur", "motion-blur", "zoom-blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "elastic-transform", "pixelate", "jpeg-compression"),
    *("speckle-noise", "gaussian-blur", "spatter", "saturate"),
)
"""In the order of the published code; the last four are those held back for validation there."""


def by_name(textures: Textures) -> Mapping[str, Corruption]:
    """All corruptions by name; textures: of frost."""
    functions: tuple[Corruption, ...] = (
        *(gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur, zoom_blur),
        *(snow, partial(frost, textures=textures), fog, brightness, contrast, elastic_transform, pixelate),
        *(jpeg_compression, speckle_noise, gaussian_blur, spatter, saturate),
    )
    return dict(zip(NAMES, functions, strict=True))


def corrupted(images: Images, corruption: Corruption, severity: int, stream: np.random.Generator) -> Images:
    """Corrupted copies of images (N, 3, 32, 32), some at a time, so that no more memory is taken."""
    found = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        found[part] = corruption(images[part], severity, stream)
    return found


def check_names(names: Sequence[str], where: str) -> None:
    """Raises BenchbiasError for a corruption that is not known."""
    if bad := [name for name in names if name not in NAMES]:
        raise BenchbiasError(f"{where}: no corruption is called {bad[0]!r:.80} (known: {', '.join(NAMES)})")


def check_severities(severities: Sequence[int], where: str) -> None:
    """Raises BenchbiasError for a severity that is not from 1 to 5."""
    if bad := [severity for severity in severities if not 1 <= severity <= 5]:
        raise BenchbiasError(f"{where}: severities are from 1 to 5, not {bad[0]}")
