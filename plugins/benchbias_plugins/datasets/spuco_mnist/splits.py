"""Splits of SpuCoMNIST, biased or balanced: every purpose of each draws from a stream of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from benchbias import GroupLabels, LabelledSplit, Split

from .drawing import balanced_grounds, biased_grounds, noisy
from .grounds import Difficulty, erased, hues, painted, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SPLITS = ("train", "val", "val_balanced", "test")
PURPOSES = ("examples", "ground", "label-noise", "core-noise", "visible")

Digits = tuple["NDArray[np.uint8]", "NDArray[np.int64]"]
"""Images (N, 28, 28) and the digit of each (N,)."""


class Maker:
    """A maker of splits: of one seed, one set of classes and one difficulty."""

    def __init__(self, seed: int, classes: Sequence[Sequence[int]], difficulty: Difficulty) -> None:
        self.seed, self.difficulty, self.num_classes = seed, difficulty, len(classes)
        self.class_of = np.full(10, -1, dtype=np.int64)
        for label, members in enumerate(classes):
            self.class_of[list(members)] = label
        self.names = tuple(f"hue-{number}" for number in range(self.num_classes))

    def stream(self, split: str, purpose: str) -> np.random.Generator:
        """The random numbers of one purpose in one split: a stream of its own."""
        return np.random.default_rng([self.seed, SPLITS.index(split), PURPOSES.index(purpose)])

    def biased(
        self,
        name: str,
        digits: Digits,
        index: NDArray[np.int64],
        strengths: Sequence[float],
        label_noise: float,
        core_feature_noise: float,
    ) -> LabelledSplit:
        """A split whose grounds follow the clean label; the label that is learned, and the group, may be noisy."""
        clean = self.class_of[digits[1][index]]
        grounds = biased_grounds(clean, strengths, self.stream(name, "ground"))
        labels = noisy(clean, label_noise, self.num_classes, self.stream(name, "label-noise"))
        images = erased(digits[0][index], core_feature_noise, self.stream(name, "core-noise"))
        return self._split(name, images, labels, grounds, index)

    def balanced(self, name: str, digits: Digits, index: NDArray[np.int64], offset: int) -> LabelledSplit:
        """A split with every class on every ground. offset: of the numbers of the source images."""
        labels = self.class_of[digits[1][index]]
        grounds = balanced_grounds(labels, self.num_classes, self.stream(name, "ground"))
        return self._split(name, digits[0][index], labels, grounds, index + offset)

    def _split(
        self,
        name: str,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        grounds: NDArray[np.int64],
        cluster: NDArray[np.int64],
    ) -> LabelledSplit:
        shown = visible(self.difficulty, len(images), self.stream(name, "visible"))
        pixels = torch.from_numpy(painted(images, hues(self.num_classes)[grounds], shown))
        label, attribute = torch.from_numpy(labels), torch.from_numpy(grounds)
        groups = GroupLabels.of(label, attribute, label == attribute, self.num_classes, self.names)
        return LabelledSplit(Split(pixels, label, self.num_classes, name), groups, torch.from_numpy(cluster))
