"""The data set: from MNIST's arrays to four splits, and what its options may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from benchbias import BenchbiasError, BiasedDataset, Range, hub_images, reads

from .drawing import partition, sample
from .grounds import Difficulty
from .splits import Digits, Maker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchbias import LabelledSplit

MNIST = "ylecun/mnist"


@reads(hub=MNIST)
def spuco_mnist(
    root: Path,
    seed: int,
    *,
    difficulty: Difficulty = "magnitude_large",
    strength: Annotated[float, Range(0, 1)] = 0.995,
    strengths: tuple[float, ...] = (),
    label_noise: Annotated[float, Range(0, 1)] = 0.0,
    core_feature_noise: Annotated[float, Range(0, 1)] = 0.0,
    classes: tuple[tuple[int, ...], ...] = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)),
    examples: Annotated[int | None, Range(2, 60_000)] = None,
) -> BiasedDataset:
    """MNIST digits in five classes of two, each on the ground colour of its class in most of training.

    difficulty: which pixels show the ground. strength: the share of each class on its own colour in training and
    validation, floor(strength * n) of n images. strengths: one a class, in place of it. label_noise: the share of
    training and validation labels replaced by another class; groups follow the noisy label. core_feature_noise: the
    share of their images that lose three pixels in five. classes: disjoint lists of digits. examples: this many
    training images, drawn by the seed, each digit in proportion; default: all. val follows training; val_balanced
    and test have every class on every colour, to within one image, and no noise.
    """
    train, test = (hub_images(root, MNIST, split) for split in ("train", "test"))
    return built(
        (train.images[:, 0].numpy(), np.asarray(train.columns["label"])),
        (test.images[:, 0].numpy(), np.asarray(test.columns["label"])),
        seed,
        difficulty=difficulty,
        strengths=strengths or (strength,) * len(classes),
        label_noise=label_noise,
        core_feature_noise=core_feature_noise,
        classes=classes,
        examples=examples,
    )


def built(
    train: Digits,
    test: Digits,
    seed: int,
    *,
    difficulty: Difficulty,
    strengths: Sequence[float],
    label_noise: float,
    core_feature_noise: float,
    classes: Sequence[Sequence[int]],
    examples: int | None,
) -> BiasedDataset:
    """The data set from MNIST's arrays; `spuco_mnist` has the options. Raises BenchbiasError."""
    check_classes(classes, strengths)
    maker = Maker(seed, classes, difficulty)
    fit, val = partition(train[1])
    fit, val = (index[np.isin(train[1][index], np.concatenate(classes))] for index in (fit, val))
    if examples is not None and examples < len(fit):
        fit = fit[sample(train[1][fit], examples, maker.stream("train", "examples"))]
    tested = np.flatnonzero(np.isin(test[1], np.concatenate(classes)))
    noise = (label_noise, core_feature_noise)
    splits = {
        "train": maker.biased("train", train, fit, strengths, *noise),
        "val": maker.biased("val", train, val, strengths, *noise),
        "val_balanced": maker.balanced("val_balanced", train, val, 0),
        "test": maker.balanced("test", test, tested, len(train[1])),
    }
    _check_cells(splits["train"])
    return BiasedDataset(
        splits=splits,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        source="MNIST (LeCun, Cortes, Burges), coloured as SpuCoMNIST (Joshi et al., 2023) is",
        licence="CC BY-SA 3.0",
    )


def check_classes(classes: Sequence[Sequence[int]], strengths: Sequence[float]) -> None:
    """Raises BenchbiasError unless there are two disjoint classes of digits or more, with a strength each."""
    digits = [digit for members in classes for digit in members]
    if len(classes) < 2 or not all(classes) or len(set(digits)) < len(digits) or not set(digits) <= set(range(10)):
        raise BenchbiasError(f"spuco_mnist: classes are two or more disjoint lists of digits, got {classes!r}")
    if len(strengths) != len(classes) or not all(0 < strength <= 1 for strength in strengths):
        raise BenchbiasError(
            f"spuco_mnist: one strength a class ({len(classes)}), each above 0 and up to 1, got {list(strengths)}"
        )


def _check_cells(train: LabelledSplit) -> None:
    """Raises BenchbiasError where a class is never seen on one of the colours."""
    counts = torch.bincount(train.groups.groups, minlength=len(train.groups.group_names))
    empty = [name for name, count in zip(train.groups.group_names, counts.tolist(), strict=True) if not count]
    if empty:
        raise BenchbiasError(
            f"spuco_mnist: no training image of the groups {', '.join(empty)}: lower the strength or take more examples"
        )
