"""SpuCoMNIST (Joshi et al., 2023, arXiv:2306.11957): digits in classes of several, on a ground that tells the class.

Of MNIST's 60,000 training images a fifth of every digit, always the same, is validation. The ground is painted only
where a digit has no ink. Every purpose draws from a stream of its own: the same seed gives the same colours at every
difficulty and every noise, and the same test split at every strength.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch

from benchbias import (
    BenchbiasError,
    BiasedDataset,
    GroupLabels,
    LabelledSplit,
    Range,
    Split,
    hookimpl,
    hub_images,
    reads,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MNIST = "ylecun/mnist"
Difficulty = Literal[
    "magnitude_large", "magnitude_medium", "magnitude_small", "variance_low", "variance_medium", "variance_high"
]
CORNER = {"magnitude_large": 28, "magnitude_medium": 4, "magnitude_small": 2, "variance_low": 7}  # pixels a side
WITHIN = {"variance_medium": 14, "variance_high": 28}  # pixels a side, of which DRAWN are drawn for every image
DRAWN = 49
KEPT_BELOW = 0.25  # core-feature noise erases where a standard normal number is at most this: 59.9 % of the pixels
VAL_PARTS = 5  # one part in five of every digit is validation
VAL_STREAM = 20230618
SPLITS = ("train", "val", "val_balanced", "test")
PURPOSES = ("examples", "ground", "label-noise", "core-noise", "visible")
CHUNK = 4096  # images
HUES = (  # stops and values of red, green and blue: matplotlib's map `hsv`
    (
        (0.0, 0.15873, 0.174603, 0.333333, 0.349206, 0.666667, 0.68254, 0.84127, 0.857143, 1.0),
        (1.0, 1.0, 0.96875, 0.03125, 0.0, 0.0, 0.03125, 0.96875, 1.0, 1.0),
    ),
    (
        (0.0, 0.15873, 0.174603, 0.507937, 0.666667, 0.68254, 1.0),
        (0.0, 0.9375, 1.0, 1.0, 0.0625, 0.0, 0.0),
    ),
    (
        (0.0, 0.333333, 0.349206, 0.507937, 0.84127, 0.857143, 1.0),
        (0.0, 0.0, 0.0625, 1.0, 1.0, 0.9375, 0.09375),
    ),
)


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
    validation, floor(strength * n) of n images; strengths: one a class, in place of it. label_noise: the share of
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


Digits = tuple["NDArray[np.uint8]", "NDArray[np.int64]"]
"""Images (N, 28, 28) and the digit of each (N,)."""


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
    maker = _Maker(seed, classes, difficulty)
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


def partition(digit: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(train, val) as sorted indices into the training images: floor(n / 5) of each digit's n are validation."""
    held = np.zeros(len(digit), dtype=bool)
    for value in range(10):
        members = np.flatnonzero(digit == value)
        order = np.random.default_rng([VAL_STREAM, value]).permutation(members)
        held[order[: len(members) // VAL_PARTS]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def sample(digit: NDArray[np.int64], count: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """`count` sorted positions of (N,) digits, every digit in its proportion to within one."""
    chosen: list[int] = []
    for value in range(10):
        upto = int(np.floor(count * np.count_nonzero(digit <= value) / len(digit) + 0.5))
        chosen.extend(stream.permutation(np.flatnonzero(digit == value))[: upto - len(chosen)].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def biased_grounds(
    labels: NDArray[np.int64], strengths: Sequence[float], stream: np.random.Generator
) -> NDArray[np.int64]:
    """The ground of every example, int64 (N,): floor(strength * n) of a class's n have its own, the rest the others'.

    Whose turn it is among the others follows from the place in the class before the grounds are shuffled, as in the
    published code: the cells of the minority are about equal, not exactly.
    """
    grounds = np.zeros(len(labels), dtype=np.int64)
    for label, strength in enumerate(strengths):
        members = np.flatnonzero(labels == label)
        others = np.array([other for other in range(len(strengths)) if other != label])
        drawn = others[np.arange(len(members)) % len(others)]
        drawn[stream.permutation(len(members))[: share_of(strength, len(members))]] = label
        grounds[members] = stream.permutation(drawn)
    return grounds


def balanced_grounds(labels: NDArray[np.int64], num_classes: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """The ground of every example, int64 (N,): every class has every ground equally often, to within one."""
    grounds = np.zeros(len(labels), dtype=np.int64)
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        grounds[members] = stream.permutation(np.arange(len(members)) % num_classes)
    return grounds


def noisy(labels: NDArray[np.int64], share: float, num_classes: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """The labels with floor(share * N) of them replaced, each by one of the other classes."""
    chosen = stream.permutation(len(labels))[: share_of(share, len(labels))]
    changed = labels.copy()
    changed[chosen] = (labels[chosen] + stream.integers(1, num_classes, len(chosen))) % num_classes
    return changed


def share_of(share: float, count: int) -> int:
    """floor(share * count), in which 0.29 of 100 are 29: the product's rounding does not count."""
    return int(np.floor(share * count + 1e-9))


def visible(difficulty: Difficulty, count: int, stream: np.random.Generator) -> NDArray[np.bool_]:
    """Which pixels may show the ground: bool (1, 28, 28), or (count, 28, 28) where every image has its own."""
    if difficulty in CORNER:
        shown = np.zeros((1, 28, 28), dtype=bool)
        shown[:, : CORNER[difficulty], : CORNER[difficulty]] = True
        return shown
    side = WITHIN[difficulty]
    shown = np.zeros((count, 28, 28), dtype=bool)
    for start in range(0, count, CHUNK):
        block = shown[start : start + CHUNK, :side, :side]
        order = stream.random((len(block), side * side), dtype=np.float32)
        each, place = np.arange(len(block))[:, None], np.argpartition(order, DRAWN - 1, axis=1)[:, :DRAWN]
        block[each, place // side, place % side] = True
    return shown


def erased(images: NDArray[np.uint8], share: float, stream: np.random.Generator) -> NDArray[np.uint8]:
    """floor(share * N) of the images (N, 28, 28) keep about two pixels in five, drawn for each."""
    chosen = stream.permutation(len(images))[: share_of(share, len(images))]
    changed = images.copy()
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        changed[part] *= stream.standard_normal((len(part), 28, 28), dtype=np.float32) > KEPT_BELOW
    return changed


def painted(images: NDArray[np.uint8], colours: NDArray[np.uint8], shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grey images (N, 28, 28) on grounds of their colours (N, 3): uint8 (N, 3, 28, 28). Ink keeps its grey."""
    ground = (images == 0) & shown  # (N, 28, 28)
    return np.where(ground[:, None], colours[:, :, None, None], images[:, None])


def hues(count: int) -> NDArray[np.uint8]:
    """`count` colours, uint8 (count, 3): matplotlib's map `hsv`, of 256 colours, at 0, 1 / count, 2 / count, ..."""
    at = np.floor(np.arange(count) / count * 256) / 255
    return np.stack([np.round(255 * np.interp(at, stops, values)) for stops, values in HUES], axis=1).astype(np.uint8)


class _Maker:
    """Makes splits of one seed, one set of classes and one difficulty."""

    def __init__(self, seed: int, classes: Sequence[Sequence[int]], difficulty: Difficulty) -> None:
        self.seed, self.difficulty, self.num_classes = seed, difficulty, len(classes)
        self.class_of = np.full(10, -1, dtype=np.int64)
        for label, members in enumerate(classes):
            self.class_of[list(members)] = label
        self.names = tuple(f"hue-{number}" for number in range(self.num_classes))

    def stream(self, split: str, purpose: str) -> np.random.Generator:
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
        """The ground follows the clean label; the label that is learned, and the group, may be noisy."""
        clean = self.class_of[digits[1][index]]
        grounds = biased_grounds(clean, strengths, self.stream(name, "ground"))
        labels = noisy(clean, label_noise, self.num_classes, self.stream(name, "label-noise"))
        images = erased(digits[0][index], core_feature_noise, self.stream(name, "core-noise"))
        return self._split(name, images, labels, grounds, index)

    def balanced(self, name: str, digits: Digits, index: NDArray[np.int64], offset: int) -> LabelledSplit:
        """offset: of the numbers of the source images."""
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


def _check_cells(train: LabelledSplit) -> None:
    """Raises BenchbiasError where a class is never seen on one of the colours."""
    counts = torch.bincount(train.groups.groups, minlength=len(train.groups.group_names))
    empty = [name for name, count in zip(train.groups.group_names, counts.tolist(), strict=True) if not count]
    if empty:
        raise BenchbiasError(
            f"spuco_mnist: no training image of the groups {', '.join(empty)}: lower the strength or take more examples"
        )


@hookimpl
def benchbias_datasets() -> dict[str, Callable[..., BiasedDataset]]:
    return {"spuco_mnist": spuco_mnist}
