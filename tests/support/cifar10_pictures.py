"""A few CIFAR-10 pictures, real where the data are there."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchbias.data.reading.hub import hub_images
from benchbias_plugins.datasets.cifar10.source import CIFAR10

FOLDER = Path(os.environ.get("BENCHBIAS_DATA", "data"))
COUNT = 24


@functools.lru_cache
def pictures(count: int = COUNT) -> NDArray[np.uint8]:
    """CIFAR-10's first test images, or, where they are not, parts of scikit-learn's two photographs: (N, 3, 32, 32)."""
    if (FOLDER / CIFAR10).is_dir():
        return hub_images(FOLDER, CIFAR10, "test", image="img").images[:count].numpy().copy()
    from sklearn.datasets import load_sample_images

    found = []
    for photograph in load_sample_images().images:
        small = cv2.resize(photograph, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for top in range(0, small.shape[0] - 32, 16):
            found.extend(small[top : top + 32, left : left + 32] for left in range(0, small.shape[1] - 32, 16))
    chosen = np.random.default_rng(0).permutation(len(found))[:count]
    return np.ascontiguousarray(np.stack([found[at] for at in chosen]).transpose(0, 3, 1, 2))
