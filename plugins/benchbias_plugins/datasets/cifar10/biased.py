"""Corrupted CIFAR-10: ten classes under ten corruptions that mostly agree with the class (Nam et al., 2020).

Made as LfF's generator makes it, whose corruptions have the constants of CIFAR-10-C. Splits and attributes are made as
coloured MNIST's are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from benchbias import BiasedDataset, Range, reads

from ..colored_mnist import VAL, attributes, labelled, parts_of
from .corruptions import NAMES, by_name, corrupted
from .frost_textures import drawn, photographs
from .source import AUGMENTATIONS, CIFAR10, LICENCE, MEAN, SOURCE, STD, pictures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .frost_textures import Textures
    from .pixels import Images
    from .source import Pictures

Types = Literal["type0", "type1"]
ORIGINAL = "original"  # no corruption
OF_CLASS = {  # by class: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck (LfF)
    "type0": (
        *("snow", "frost", "fog", "brightness", "contrast", "spatter", "elastic-transform", "jpeg-compression"),
        *("pixelate", "saturate"),
    ),
    "type1": (
        *("gaussian-noise", "shot-noise", "impulse-noise", "speckle-noise", "gaussian-blur", "defocus-blur"),
        *("glass-blur", "motion-blur", "zoom-blur", ORIGINAL),
    ),
}


@reads(hub=CIFAR10)
def corrupted_cifar10(
    root: Path,
    seed: int,
    *,
    conflict_ratio: Annotated[float, Range(0, 1)] = 0.05,
    types: Types = "type0",
    severity: Annotated[int, Range(1, 5)] = 5,
    examples: Annotated[int | None, Range(10, 45_000)] = None,
) -> BiasedDataset:
    """CIFAR-10, each image under the corruption of its class in most of training, under one of ten in test.

    conflict_ratio: the share of training and of validation images under another class's corruption, spread evenly over
    the other nine; the published settings are 0.005, 0.01, 0.02 and 0.05. types: which ten corruptions; `type0` is
    weather, colour and compression, `type1` is noise and blur. severity: 1 to 5, of every corruption; published files
    named `severity 4` have 5. examples: of the 45,000 training images only so many, the same for every seed, each class
    in proportion. val follows training; val_balanced and test have every class under every corruption: one in ten is
    aligned. The textures of frost are our own.
    """
    return built(*pictures(root), seed, conflict_ratio, types, severity, VAL, examples, drawn())


@reads(hub=CIFAR10)
@reads(folder="{frost}")
def corrupted_cifar10_published_frost(
    root: Path,
    seed: int,
    *,
    conflict_ratio: Annotated[float, Range(0, 1)] = 0.05,
    types: Types = "type0",
    severity: Annotated[int, Range(1, 5)] = 5,
    examples: Annotated[int | None, Range(10, 45_000)] = None,
    frost: str = "frost",
) -> BiasedDataset:
    """Corrupted CIFAR-10 with the published photographs of frost. All else is as in corrupted_cifar10.

    frost: the folder, below the data folder, with frost1.png, frost2.png, frost3.png, frost4.jpg and frost5.jpg.
    """
    textures = photographs(root, frost)
    return built(*pictures(root), seed, conflict_ratio, types, severity, VAL, examples, textures)


def built(
    train: Pictures,
    test: Pictures,
    seed: int,
    conflict_ratio: float,
    types: Types,
    severity: int,
    val: int,
    examples: int | None,
    textures: Textures,
) -> BiasedDataset:
    """The data set from CIFAR-10's arrays; val: how many of the training images are validation."""
    splits = {}
    parts = parts_of(train, test, conflict_ratio, val, examples)
    for number, (name, (source, index, ratio, offset)) in enumerate(parts.items()):
        label = source[1][index]
        attribute = attributes(label, ratio, np.random.default_rng([seed, number]))
        images = worn(source[0][index], attribute, OF_CLASS[types], severity, [seed, number], textures)
        splits[name] = labelled(name, images, label, attribute, index + offset, OF_CLASS[types])
    return BiasedDataset(
        splits=splits,
        mean=MEAN,
        std=STD,
        source=f"{SOURCE}, corrupted by the recipe of LfF (Nam et al., 2020)",
        licence=LICENCE,
        augmentations=AUGMENTATIONS,
    )


def worn(
    images: Images,
    attribute: NDArray[np.int64],
    names: Sequence[str],
    severity: int,
    numbers: Sequence[int],
    textures: Textures,
) -> Images:
    """Every image under the corruption that its attribute says; each corruption has a stream of its own."""
    known = by_name(textures)
    found = images.copy()
    for value, name in enumerate(names):
        if name == ORIGINAL:
            continue
        members = np.flatnonzero(attribute == value)
        stream = np.random.default_rng([*numbers, 1 + NAMES.index(name)])
        found[members] = corrupted(images[members], known[name], severity, stream)
    return found
