"""Blurs: gaussian, defocus, glass, motion and zoom (Hendrycks and Dietterich, 2019; constants of CIFAR-10-C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .motion import along_a_line
from .pixels import enlarged, levels, smoothed, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pixels import Images

GAUSSIAN = (0.4, 0.6, 0.7, 0.8, 1.0)  # standard deviation, pixels
DEFOCUS = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))  # radius of the disk, and of its soft edge
GLASS = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))  # standard deviation, and how often pixels are moved
MOTION = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))  # radius and standard deviation, pixels
ZOOM = (1.06, 1.11, 1.16, 1.21, 1.26)  # enlargements from 1 by 0.01 up to here, as numpy.arange counts
MOTION_DEGREES = 45.0  # to either side of level


def gaussian_blur(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """A Gaussian over the neighbours."""
    return levels(smoothed(unit(images), GAUSSIAN[severity - 1]))


def defocus_blur(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """The mean over a disk with a soft edge. Up to severity 3 the disk is one pixel, and the soft edge is the blur."""
    from scipy.ndimage import correlate

    return levels(correlate(unit(images), disk(*DEFOCUS[severity - 1])[None, None], mode="mirror"))


def disk(radius: float, edge: float) -> NDArray[np.float64]:
    """Weights (5, 5) that sum to one: a disk, blurred by three taps of a Gaussian with the deviation `edge`."""
    from scipy.ndimage import correlate1d

    row, column = np.mgrid[-2:3, -2:3]
    whole = (row**2 + column**2 <= radius**2).astype(np.float64)
    taps = np.exp(-(np.arange(-1, 2) ** 2) / (2 * edge**2))
    taps /= taps.sum()
    found: NDArray[np.float64] = correlate1d(correlate1d(whole / whole.sum(), taps, axis=0), taps, axis=1)
    return found


def glass_blur(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """Pixels take the place of neighbours, between two Gaussians.

    The published code means to swap a pixel with the neighbour above, to the left or both, and copies it: assigning
    two views of one array to each other loses the first. So here. The two first rows and columns stay.
    """
    sigma, times = GLASS[severity - 1]
    pixels = levels(smoothed(unit(images), sigma))
    each = np.arange(len(images))[:, None, None]
    row, column = np.mgrid[2:32, 2:32]
    for _ in range(times):
        right, down = stream.integers(-1, 1, (2, len(images), 30, 30))  # -1 or 0
        moved = pixels.transpose(0, 2, 3, 1)[each, row + down, column + right]  # (N, 30, 30, 3)
        pixels[:, :, 2:, 2:] = moved.transpose(0, 3, 1, 2)
    return levels(smoothed(unit(pixels), sigma))


def motion_blur(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """A blur along a line, within 45 degrees of level."""
    degrees = stream.uniform(-MOTION_DEGREES, MOTION_DEGREES, len(images))
    return along_a_line(images, *MOTION[severity - 1], degrees)


def zoom_blur(images: Images, severity: int, stream: np.random.Generator) -> Images:
    """The mean of an image and its enlargements about the middle; the one by 1 is among them, so it counts twice."""
    pixels = unit(images)
    factors: list[float] = np.arange(1, ZOOM[severity - 1], 0.01).tolist()
    return levels((pixels + enlarged(pixels, factors)) / (len(factors) + 1))
