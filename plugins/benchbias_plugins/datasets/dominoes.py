"""Dominoes: an MNIST digit above a CIFAR-10 picture, whose kinds agree in most of training (Shah et al., 2020).

The picture, automobile or truck, is the class; the digit, 0 or 1, is the spurious attribute: the MNIST-CIFAR blocks of
"The Pitfalls of Simplicity Bias in Neural Networks" with the conflicts of Kirichenko et al. (2022, DFR) and the fully
correlated training of Pagliardini et al. (2023, D-BAT). Which pictures are training, validation or test is the same for
every seed; the seed draws the digits, and who conflicts, in a stream of its own for every purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from benchbias import BiasedDataset, DataError, GroupLabels, LabelledSplit, Range, Split, hookimpl, hub_images, reads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MNIST = "ylecun/mnist"
CIFAR10 = "uoft-cs/cifar10"
DIGITS = (0, 1)  # MNIST's labels, in the order of the attributes
PICTURES = {"automobile": 1, "truck": 9}  # CIFAR-10's labels, in the order of the classes
VAL_PARTS = 5  # one part in five of every kind of digit and of picture is validation
FIXED_STREAM = 20200613
UNBIASED = 0.5  # conflicting share where the digit says nothing of two classes
SPLITS = ("train", "val", "val_balanced", "test")
PURPOSES = ("conflicts", "digits", "order")
MEAN = (0.290, 0.284, 0.280)  # of the 8,000 training images, at every conflict ratio
STD = (0.332, 0.329, 0.331)


@reads(hub=MNIST)
@reads(hub=CIFAR10)
def dominoes(
    root: Path,
    seed: int,
    *,
    conflict_ratio: Annotated[float, Range(0, 1)] = 0.05,
    examples: Annotated[int | None, Range(4, 8_000)] = None,
) -> BiasedDataset:
    """MNIST's 0 or 1 above CIFAR-10's automobile or truck, uint8 (N, 3, 64, 32); the picture is the class.

    conflict_ratio: the share of every class under the other digit, in training and in val; 0 and 1 leave groups without
    an example. examples: of the 8,000 training pictures only so many, the same for every seed. val follows training;
    val_balanced and test have every picture's kind under every digit equally often. No digit and no picture is in a
    split twice.
    """
    digits, test_digits = (_kinds(root, MNIST, split, "image", DIGITS) for split in ("train", "test"))
    pictures, test_pictures = (_kinds(root, CIFAR10, split, "img", PICTURES.values()) for split in ("train", "test"))
    return built(digits, pictures, test_digits, test_pictures, seed, conflict_ratio, examples)


@dataclass(frozen=True)
class Kind:
    """Images of one kind, uint8 (N, C, H, W), and the place of each in its source, int64 (N,)."""

    images: NDArray[np.uint8]
    index: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)

    def take(self, chosen: NDArray[np.int64]) -> Kind:
        return Kind(self.images[chosen], self.index[chosen])


Pair = tuple[Kind, Kind]
"""The zeros and the ones, or the automobiles and the trucks."""


def built(
    digits: Pair,
    pictures: Pair,
    test_digits: Pair,
    test_pictures: Pair,
    seed: int,
    conflict_ratio: float,
    examples: int | None = None,
) -> BiasedDataset:
    """The data set from the two kinds of digit and of picture, of the sources' training and test splits.

    Digits are (N, 1, 28, 28), pictures (N, 3, 32, 32). examples: how many of the training images, None for all.
    Raises DataError where there are too few digits for the pictures.
    """
    fit_digits, val_digits = _parted(digits)
    fit, val = _parted(pictures)
    if examples is not None:
        counts = (examples - examples // 2, examples // 2)
        fit = _some(fit[0], counts[0]), _some(fit[1], counts[1])
    least = 2 * (min(len(kind) for kind in (*test_digits, *test_pictures)) // 2)  # halves, each digit at most once
    tested = _some(test_pictures[0], least), _some(test_pictures[1], least)
    offset = 1 + max(int(kind.index.max()) for kind in pictures)
    parts = {  # name: (digits, pictures, conflicting share, number of the first picture)
        "train": (fit_digits, fit, conflict_ratio, 0),
        "val": (val_digits, val, conflict_ratio, 0),
        "val_balanced": (val_digits, val, UNBIASED, 0),
        "test": (test_digits, tested, UNBIASED, offset),
    }
    return BiasedDataset(
        splits={name: _split(name, seed, *part) for name, part in parts.items()},
        mean=MEAN,
        std=STD,
        source="MNIST (LeCun, Cortes, Burges) above CIFAR-10 (Krizhevsky, 2009), as MNIST-CIFAR of Shah et al. (2020)",
        licence="MNIST: CC BY-SA 3.0; CIFAR-10: none stated by its author",
        augmentations=("none", "shift", "flip-crop"),
    )


def conflicts(count: int, conflict_ratio: float) -> int:
    """How many of a class's `count` images conflict: the share, rounded half up."""
    return int(np.floor(conflict_ratio * count + 0.5))


def stacked(digits: NDArray[np.uint8], pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Digits (N, 1, 28, 28), in the middle of 32 x 32 black, grey in all channels, above pictures: (N, 3, 64, 32)."""
    above = np.pad(digits, ((0, 0), (0, 0), (2, 2), (2, 2))).repeat(3, axis=1)
    return np.concatenate([above, pictures], axis=2)


def _kinds(root: Path, repository: str, split: str, image: str, labels: Iterable[int]) -> Pair:
    """The images of two labels of a repository."""
    found = hub_images(root, repository, split, image=image)
    label = np.asarray(found.columns["label"])
    one, two = (np.flatnonzero(label == value) for value in labels)
    return _taken(found.images, one), _taken(found.images, two)


def _taken(images: torch.Tensor, index: NDArray[np.int64]) -> Kind:
    return Kind(images[torch.from_numpy(index)].numpy(), index)


def _some(kind: Kind, count: int) -> Kind:
    """`count` of the images, drawn, the same for every seed; in the order of the source."""
    order = np.random.default_rng([FIXED_STREAM, 1]).permutation(len(kind))
    return kind.take(np.sort(order[:count]))


def _parted(pair: Pair) -> tuple[Pair, Pair]:
    """(training, validation): floor(n / 5) of either kind's n images are validation, the same for every seed."""
    (fit_one, val_one), (fit_two, val_two) = (_held_out(kind) for kind in pair)
    return (fit_one, fit_two), (val_one, val_two)


def _held_out(kind: Kind) -> Pair:
    order = np.random.default_rng([FIXED_STREAM, 0]).permutation(len(kind))
    count = len(kind) // VAL_PARTS
    return kind.take(np.sort(order[count:])), kind.take(np.sort(order[:count]))


def _split(name: str, seed: int, digits: Pair, pictures: Pair, conflict_ratio: float, offset: int) -> LabelledSplit:
    """One split: every picture once, each under a digit of its own. offset: of the numbers of the pictures."""
    conflict, draw, order = (
        np.random.default_rng([seed, SPLITS.index(name), number]) for number in range(len(PURPOSES))
    )
    labels = np.repeat((0, 1), [len(kind) for kind in pictures])
    attributes = labels.copy()
    for label, kind in enumerate(pictures):
        members = conflict.permutation(np.flatnonzero(labels == label))
        attributes[members[: conflicts(len(kind), conflict_ratio)]] = 1 - label
    above = np.empty((len(labels), *digits[0].images.shape[1:]), dtype=np.uint8)
    for attribute, kind in enumerate(digits):
        members = np.flatnonzero(attributes == attribute)
        if len(members) > len(kind):
            raise DataError(
                f"dominoes: {name} needs {len(members)} pictures of the digit {attribute}, but there are {len(kind)}"
            )
        above[members] = kind.images[draw.permutation(len(kind))[: len(members)]]
    shuffled = order.permutation(len(labels))
    below = np.concatenate([kind.images for kind in pictures])
    numbers = np.concatenate([kind.index for kind in pictures]) + offset
    classes, shown = (torch.from_numpy(values[shuffled]) for values in (labels, attributes))
    names = tuple(f"{picture}/{digit}" for picture in PICTURES for digit in DIGITS)
    groups = GroupLabels(shown, 2 * classes + shown, classes == shown, 2, names)
    images = torch.from_numpy(stacked(above, below)[shuffled])
    return LabelledSplit(Split(images, classes, 2, name), groups, torch.from_numpy(numbers[shuffled]))


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {"dominoes": dominoes}
