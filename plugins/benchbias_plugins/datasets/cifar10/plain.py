"""CIFAR-10 as it is: ten classes, no bias, and corrupted copies of the test split where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from benchbias import BenchbiasError, BiasedDataset, GroupLabels, LabelledSplit, Range, Split, reads

from ..colored_mnist import held_out
from .corruptions import NAMES, by_name, check_names, check_severities, corrupted
from .frost_textures import drawn, photographs
from .source import AUGMENTATIONS, CIFAR10, CLASSES, LICENCE, MEAN, SOURCE, STD, pictures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .corruptions import Corruption
    from .frost_textures import Textures
    from .pixels import Images
    from .source import Pictures


@reads(hub=CIFAR10)
def cifar10(
    root: Path,
    seed: int,
    *,
    val: Annotated[int, Range(10, 49_990)] = 5_000,
    examples: Annotated[int | None, Range(10, 49_990)] = None,
    corruptions: tuple[str, ...] = (),
    severities: tuple[int, ...] = (),
) -> BiasedDataset:
    """CIFAR-10, whose classes are its groups: one attribute, `none`, and every example aligned.

    val: how many of the 50,000 training images are validation, drawn by the seed, each class in proportion. examples:
    of the others only so many are training. corruptions: names of corruptions of CIFAR-10-C, and severities: from 1
    to 5, of each; the copies of the test split are further splits, `test-fog-3` and so on, with its order and labels.
    The textures of frost are our own.
    """
    return built(*pictures(root), seed, val, examples, corruptions, severities, drawn())


@reads(hub=CIFAR10)
@reads(folder="{frost}")
def cifar10_published_frost(
    root: Path,
    seed: int,
    *,
    val: Annotated[int, Range(10, 49_990)] = 5_000,
    examples: Annotated[int | None, Range(10, 49_990)] = None,
    corruptions: tuple[str, ...] = (),
    severities: tuple[int, ...] = (),
    frost: str = "frost",
) -> BiasedDataset:
    """CIFAR-10 with the published photographs of frost. All else is as in cifar10.

    frost: the folder, below the data folder, with frost1.png, frost2.png, frost3.png, frost4.jpg and frost5.jpg.
    """
    textures = photographs(root, frost)
    return built(*pictures(root), seed, val, examples, corruptions, severities, textures)


def built(
    train: Pictures,
    test: Pictures,
    seed: int,
    val: int,
    examples: int | None,
    names: Sequence[str],
    severities: Sequence[int],
    textures: Textures,
) -> BiasedDataset:
    """The data set from CIFAR-10's arrays; `cifar10` has the options. Raises BenchbiasError."""
    check_names(names, "cifar10")
    check_severities(severities, "cifar10")
    if bool(names) != bool(severities):
        raise BenchbiasError("cifar10: corruptions and severities go together: one of them is empty")
    fit, held = partition(train[1], seed, val, examples)
    splits = {
        name: _split(name, source[0][index], source[1][index], index + offset)
        for name, source, index, offset in (
            ("train", train, fit, 0),
            ("val", train, held, 0),
            ("test", test, np.arange(len(test[1])), len(train[1])),
        )
    }
    known = by_name(textures)
    for name in names:
        for severity in severities:
            splits[f"test-{name}-{severity}"] = _copy(splits["test"], known[name], name, severity, seed)
    return BiasedDataset(splits, MEAN, STD, SOURCE, LICENCE, AUGMENTATIONS)


def partition(
    label: NDArray[np.int64], seed: int, val: int, examples: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(train, val) as sorted indices into the training images, drawn by the seed. Raises BenchbiasError."""
    if val + (examples or 1) > len(label):
        raise BenchbiasError(
            f"cifar10: val = {val} and examples = {examples or 1} are more than the {len(label)} images that there are"
        )
    order = np.random.default_rng([seed, 0]).permutation(len(label))
    held = order[held_out(label[order], val)]
    fit = np.setdiff1d(order, held)
    if examples is not None:
        fit = np.random.default_rng([seed, 1]).permutation(fit)
        fit = fit[held_out(label[fit], examples)]
    return np.sort(fit), np.sort(held)


def _split(name: str, images: Images, label: NDArray[np.int64], cluster: NDArray[np.int64]) -> LabelledSplit:
    labels = torch.from_numpy(label.astype(np.int64))
    none, aligned = torch.zeros_like(labels), torch.ones(len(labels), dtype=torch.bool)
    groups = GroupLabels.of(labels, none, aligned, CLASSES, ("none",))
    return LabelledSplit(Split(torch.from_numpy(images), labels, CLASSES, name), groups, torch.from_numpy(cluster))


def _copy(item: LabelledSplit, corruption: Corruption, name: str, severity: int, seed: int) -> LabelledSplit:
    """A corrupted copy of a split; its random numbers depend on the seed, the corruption and the severity."""
    stream = np.random.default_rng([seed, 100 + NAMES.index(name), severity])
    images = torch.from_numpy(corrupted(item.split.images.numpy(), corruption, severity, stream))
    split = Split(images, item.split.labels, CLASSES, f"{item.split.name}-{name}-{severity}")
    return LabelledSplit(split, item.groups, item.cluster)
