"""CIFAR-10's images and labels, and what its data sets have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchbias import DataError, hub_images

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Pictures = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images (N, 3, 32, 32) and the class of each (N,)

CIFAR10 = "uoft-cs/cifar10"
CLASSES = 10
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # the customary ones
AUGMENTATIONS = ("none", "shift", "flip-crop", "flip-crop-zeros")
SOURCE = "CIFAR-10 (Krizhevsky, 2009)"
LICENCE = "none stated by its authors, who ask to be cited"


def pictures(root: Path) -> tuple[Pictures, Pictures]:
    """Training and test images with their classes. Raises DataError."""
    return _pictures(root, "train"), _pictures(root, "test")


def _pictures(root: Path, split: str) -> Pictures:
    found = hub_images(root, CIFAR10, split, image="img", channels=3)
    if found.images.shape[1:] != (3, 32, 32):
        raise DataError(f"{CIFAR10}, split {split}: images of {tuple(found.images.shape[1:])}, not of (3, 32, 32)")
    return found.images.numpy(), np.asarray(found.columns["label"])
