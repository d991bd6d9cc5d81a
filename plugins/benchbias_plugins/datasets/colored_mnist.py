"""Coloured MNIST: ten digits in ten colours that mostly agree with the digit (Nam et al., 2020: LfF's recipe).

The digit itself is coloured, on black. Of MNIST's 60,000 training images 5,000, always the same, are validation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from benchbias import BiasedDataset, GroupLabels, LabelledSplit, Range, Split, hookimpl, hub_images, reads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

MNIST = "ylecun/mnist"
COLOURS = {  # the mean colour of each attribute: ours, LfF's table is a binary file of its authors
    "red": (0.9, 0.1, 0.1),
    "green": (0.1, 0.7, 0.1),
    "blue": (0.15, 0.25, 0.95),
    "yellow": (0.95, 0.9, 0.15),
    "magenta": (0.9, 0.2, 0.9),
    "cyan": (0.15, 0.9, 0.9),
    "orange": (1.0, 0.55, 0.1),
    "purple": (0.5, 0.2, 0.75),
    "pink": (1.0, 0.7, 0.75),
    "grey": (0.6, 0.6, 0.6),
}
SIGMAS = (0.05, 0.02, 0.01, 0.005, 0.002)  # of the colour, per image and channel, by severity 1 to 5 (LfF)
VAL = 5_000  # of 60,000: published files have about 55,000 training images
VAL_STREAM = 20201022
UNBIASED = 0.9  # conflicting share where the colour says nothing of ten digits
CHUNK = 4096  # images


@reads(hub=MNIST)
def colored_mnist(
    root: Path,
    seed: int,
    *,
    conflict_ratio: Annotated[float, Range(0, 1)] = 0.05,
    severity: Annotated[int, Range(1, 5)] = 4,
    examples: Annotated[int | None, Range(10, 55_000)] = None,
) -> BiasedDataset:
    """MNIST digits, each in the colour of its digit in most of training, in one of ten colours in test.

    conflict_ratio: the share of training and of validation images in another digit's colour, spread evenly over the
    other nine; the published settings are 0.005, 0.01, 0.02 and 0.05. severity: 1 to 5, the higher the less the
    colour varies (standard deviations 0.05 to 0.002). examples: of the 55,000 training images only so many, the same
    for every seed, each digit in proportion. val follows training; val_balanced and test have every digit
    in every colour: one in ten is aligned.
    """
    train, test = (hub_images(root, MNIST, split) for split in ("train", "test"))
    return built(
        (train.images[:, 0].numpy(), np.asarray(train.columns["label"])),
        (test.images[:, 0].numpy(), np.asarray(test.columns["label"])),
        seed,
        conflict_ratio,
        severity,
        VAL,
        examples,
    )


Digits = tuple["NDArray[np.uint8]", "NDArray[np.int64]"]
"""Images (N, H, W) and the digit of each (N,)."""


def built(
    train: Digits, test: Digits, seed: int, conflict_ratio: float, severity: int, val: int, examples: int | None = None
) -> BiasedDataset:
    """The data set from MNIST's arrays; val: how many of the training images are validation.

    examples: how many of the others are training, None for all.
    """
    splits = {}
    parts = parts_of(train, test, conflict_ratio, val, examples)
    for number, (name, (digits, index, ratio, offset)) in enumerate(parts.items()):
        stream = np.random.default_rng([seed, number])  # one a split: test does not depend on the conflict ratio
        digit = digits[1][index]
        attribute = attributes(digit, ratio, stream)
        images = colored(digits[0][index], attribute, SIGMAS[severity - 1], stream)
        splits[name] = labelled(name, images, digit, attribute, index + offset, tuple(COLOURS))
    return BiasedDataset(
        splits=splits,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        source="MNIST (LeCun, Cortes, Burges), coloured by the recipe of LfF (Nam et al., 2020)",
        licence="CC BY-SA 3.0",
    )


def parts_of(
    train: Digits, test: Digits, conflict_ratio: float, val: int, examples: int | None
) -> dict[str, tuple[Digits, NDArray[np.int64], float, int]]:
    """The parts of each split: images and digits, which of them, the conflicting share, the first source's number."""
    held = held_out(train[1], val)
    fit = np.setdiff1d(np.arange(len(train[1])), held)
    if examples is not None:
        fit = fit[held_out(train[1][fit], examples)]
    everything = np.arange(len(test[1]))
    return {
        "train": (train, fit, conflict_ratio, 0),
        "val": (train, held, conflict_ratio, 0),
        "val_balanced": (train, held, UNBIASED, 0),
        "test": (test, everything, UNBIASED, len(train[1])),
    }


def held_out(digit: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Sorted indices of `count` validation images, the same for every seed; each digit in proportion, to within one."""
    chosen: list[int] = []
    for value in range(10):
        members = np.random.default_rng([VAL_STREAM, value]).permutation(np.flatnonzero(digit == value))
        upto = int(np.floor(count * np.count_nonzero(digit <= value) / len(digit) + 0.5))
        chosen.extend(members[: upto - len(chosen)].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def milestones(count: int, label: int, conflict_ratio: float) -> NDArray[np.int64]:
    """Ends of each attribute among a digit's `count` images, int64 (10,): rounded cumulative shares (LfF).

    In the published generator's order of operations: at a share that is a half exactly, the last bit decides.
    """
    aligned = 1 - conflict_ratio
    shares = np.full(10, (1 - aligned) / 9)
    shares[label] = aligned
    upto = np.round(count * np.cumsum(shares)).astype(np.int64)
    upto[-1] = count  # the shares add up to one but for rounding
    return upto


def attributes(digit: NDArray[np.int64], conflict_ratio: float, stream: np.random.Generator) -> NDArray[np.int64]:
    """The colour of every image, int64 (N,); how many of each is exact, which ones is drawn."""
    found = np.zeros(len(digit), dtype=np.int64)
    for label in range(10):
        members = stream.permutation(np.flatnonzero(digit == label))
        upto = milestones(len(members), label, conflict_ratio)
        found[members] = np.searchsorted(upto, np.arange(len(members)), side="right")
    return found


def colored(
    images: NDArray[np.uint8], attribute: NDArray[np.int64], sigma: float, stream: np.random.Generator
) -> NDArray[np.uint8]:
    """Grey images (N, H, W) times a colour near the mean of their attribute: uint8 (N, 3, H, W)."""
    means = np.array(list(COLOURS.values()))[attribute]  # (N, 3)
    colours = np.clip(means + sigma * stream.standard_normal(means.shape), 0, 1).astype(np.float32)
    pixels = np.empty((len(images), 3, *images.shape[1:]), dtype=np.uint8)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        pixels[part] = np.rint(images[part, None] * colours[part, :, None, None])
    return pixels


def labelled(
    name: str,
    images: NDArray[np.uint8],
    label: NDArray[np.int64],
    attribute: NDArray[np.int64],
    cluster: NDArray[np.int64],
    names: tuple[str, ...],
) -> LabelledSplit:
    """A split of ten classes whose attribute is aligned where it has the class's number; names: of the attributes."""
    labels, attributes_ = torch.from_numpy(label.astype(np.int64)), torch.from_numpy(attribute)
    groups = GroupLabels.of(labels, attributes_, labels == attributes_, 10, names)
    return LabelledSplit(Split(torch.from_numpy(images), labels, 10, name), groups, torch.from_numpy(cluster))


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {"colored_mnist": colored_mnist}
