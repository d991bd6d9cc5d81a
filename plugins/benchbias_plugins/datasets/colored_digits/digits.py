"""Coloured digits: scikit-learn's 1,797 handwritten 8x8 digits on a red or a green ground. Nothing is downloaded.

The class is whether the digit is 5 or more; the spurious attribute is the colour of the ground, which agrees with
the class in most of training. Five-fold cross-fitting: seed s tests on fold s mod 5 of the split number s div 5, so
five seeds test every digit once.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from benchbias import BiasedDataset, GroupLabels, LabelledSplit, Range, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
TRAIN_PER_DIGIT = 120  # of about 144 outside the test fold: 6 conflicts a digit are exactly 5 %
COLOURS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # red, green
NAMES = ("red", "green")
LARGEST = 16.0  # a pixel of scikit-learn's digits


def colored_digits(
    root: Path,
    seed: int,
    *,
    conflict_ratio: Annotated[float, Range(0, 1)] = 0.05,
    noise: Annotated[float, Range(0, 2)] = 0.3,
    draws: Annotated[int, Range(1, 64)] = 16,
) -> BiasedDataset:
    """Digits 5 to 9 against 0 to 4, with a ground colour that agrees with the class in most of training.

    conflict_ratio: the share of training and of validation examples on the other class's colour, the same in
    every digit. noise: standard deviation of the ground colour, per image and channel. draws: how many colour
    draws of each test digit and colour. val follows training; val_balanced has every validation digit in both
    colours, and so has test: all copies of one digit form one cluster.
    """
    return _dataset(seed, 2, conflict_ratio, noise, draws)


def colored_ten_digits(
    root: Path,
    seed: int,
    *,
    conflict_ratio: Annotated[float, Range(0, 1)] = 0.05,
    noise: Annotated[float, Range(0, 2)] = 0.3,
    draws: Annotated[int, Range(1, 64)] = 4,
) -> BiasedDataset:
    """Ten digits, each a class of its own, with a ground colour that says in most of training whether it is 5 or more.

    As colored_digits in all else: green agrees with the digits 5 to 9, red with 0 to 4; at a conflict_ratio of 0.5 the
    colour says nothing. There are twenty groups.
    """
    return _dataset(seed, 10, conflict_ratio, noise, draws)


def _dataset(seed: int, num_classes: int, conflict_ratio: float, noise: float, draws: int) -> BiasedDataset:
    pixels, digit = _digits()
    images = pixels / LARGEST  # from 0 to 1
    train, val, test = _partition(digit, seed)
    render = _Renderer(images, digit, noise, num_classes)
    # one stream a split: the test images do not depend on the conflict ratio
    streams = [np.random.default_rng([seed, number]) for number in range(4)]
    return BiasedDataset(
        splits={
            "train": render.biased("train", train, conflict_ratio, streams[0]),
            "val": render.biased("val", val, conflict_ratio, streams[1]),
            "val_balanced": render.balanced("val_balanced", val, 1, streams[2]),
            "test": render.balanced("test", test, draws, streams[3]),
        },
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
        source="scikit-learn load_digits (UCI Optical Recognition of Handwritten Digits, test part; Alpaydin, Kaynak)",
        licence="CC BY 4.0",
        augmentations=("none", "shift"),
    )


def _digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Images (1797, 8, 8) from 0 to 16 and labels (1797,), as load_digits reads them from the same file.

    Importing sklearn.datasets takes a hundred times as long as reading the file that lies beside it.
    """
    spec = find_spec("sklearn")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            with gzip.open(file, "rt", encoding="utf-8") as rows:
                table = np.loadtxt(rows, delimiter=",")  # (1797, 65)
            return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits  # of a scikit-learn that keeps the file elsewhere

    digits = load_digits()
    return digits.images, digits.target


def _partition(digit: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], ...]:
    """(train, val, test) as indices, each stratified by digit; the folds of one repetition are disjoint."""
    split, fold = divmod(seed, FOLDS)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for value in range(10):
        members = np.flatnonzero(digit == value)
        order = np.random.default_rng([split, value]).permutation(members)
        is_test = np.arange(len(order)) % FOLDS == fold
        rest = np.random.default_rng([split, value, fold]).permutation(order[~is_test])
        for part, chosen in zip(parts, (rest[:TRAIN_PER_DIGIT], rest[TRAIN_PER_DIGIT:], order[is_test]), strict=True):
            part.extend(chosen.tolist())
    return tuple(np.array(sorted(part)) for part in parts)


def conflicts(digit: NDArray[np.int64], ratio: float, stream: np.random.Generator) -> NDArray[np.bool_]:
    """Whether each example conflicts, bool (N,): round(ratio * N) in all, in every digit its share to within one."""
    flags = np.zeros(len(digit), dtype=bool)
    before = 0
    for value in range(10):
        members = np.flatnonzero(digit == value)
        upto = int(np.floor(ratio * np.count_nonzero(digit <= value) + 0.5))
        flags[stream.permutation(members)[: upto - before]] = True
        before = upto
    return flags


class _Renderer:
    """Draws digits on coloured grounds."""

    def __init__(self, images: NDArray[np.float64], digit: NDArray[np.int64], noise: float, num_classes: int) -> None:
        self.images, self.digit, self.noise, self.num_classes = images, digit, noise, num_classes
        self.usual = (digit >= 5).astype(np.int64)  # the colour that agrees with each digit
        self.labels = self.usual if num_classes == 2 else digit.astype(np.int64)

    def biased(self, name: str, index: NDArray[np.int64], ratio: float, stream: np.random.Generator) -> LabelledSplit:
        """One copy of each digit; noise stratified within each group, so that chance gives no group a hue."""
        usual = self.usual[index]
        colours = np.where(conflicts(self.digit[index], ratio, stream), 1 - usual, usual)
        noise = np.zeros((len(index), 3))
        for group in range(2 * self.num_classes):
            members = np.flatnonzero(2 * self.labels[index] + colours == group)
            noise[members] = _stratified_normal(len(members), stream)
        return self._split(name, index, colours, noise)

    def balanced(self, name: str, index: NDArray[np.int64], draws: int, stream: np.random.Generator) -> LabelledSplit:
        """Each digit in both colours, `draws` times."""
        copies = np.repeat(index, 2 * draws)
        colours = np.tile(np.repeat([0, 1], draws), len(index))
        return self._split(name, copies, colours, stream.standard_normal((len(copies), 3)))

    def _split(
        self, name: str, index: NDArray[np.int64], colours: NDArray[np.int64], noise: NDArray[np.float64]
    ) -> LabelledSplit:
        ground = np.clip(COLOURS[colours] + self.noise * noise, 0, 1)[:, :, None, None]  # (N, 3, 1, 1)
        ink = self.images[index][:, None]  # (N, 1, 8, 8), 1 = ink, drawn white
        pixels = np.round(255 * ((1 - ink) * ground + ink)).astype(np.uint8)
        labels, attributes = torch.from_numpy(self.labels[index]), torch.from_numpy(colours.astype(np.int64))
        aligned = torch.from_numpy(self.usual[index] == colours)
        groups = GroupLabels.of(labels, attributes, aligned, self.num_classes, NAMES)
        split = Split(torch.from_numpy(pixels), labels, self.num_classes, name)
        return LabelledSplit(split, groups, torch.from_numpy(index))


def _stratified_normal(count: int, stream: np.random.Generator) -> NDArray[np.float64]:
    """(count, 3) standard normal numbers, one from each of `count` equally likely strata, in every column."""
    from scipy.special import ndtri

    columns = [(stream.permutation(count) + stream.random(count)) / max(count, 1) for _ in range(3)]
    normal: NDArray[np.float64] = ndtri(np.clip(np.stack(columns, axis=1), 1e-9, 1 - 1e-9))
    return normal
